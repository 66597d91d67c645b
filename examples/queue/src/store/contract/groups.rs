//! Task groups.

use super::fixture::*;
use super::prelude::*;

pub(super) async fn group_has_one_scheduler(f: &Fixture) {
    let group = TaskId::new();
    f.create(json!({"taskGroupId": group, "schedulerId": "one"})).await;
    let refused = f.try_create(TaskId::new(), &json!({"taskGroupId": group, "schedulerId": "two"})).await;
    assert_eq!(refused, Err(CreateRefusal::OtherScheduler { group, scheduler_id: "one".to_owned() }));
    assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 1);
}

pub(super) async fn schedulers_that_come_at_once_do_not_share_a_group(f: &Fixture) {
    for _ in 0..10 {
        let group = TaskId::new();
        let one_of = |scheduler: &'static str| {
            let changes = json!({"taskGroupId": group, "schedulerId": scheduler});
            async move { f.try_create(TaskId::new(), &changes).await }
        };
        let created = futures_util::future::join_all((0..10).map(|n| one_of(["one", "two"][n % 2]))).await;
        let schedulers: BTreeSet<String> = created.into_iter().flatten().map(|task| task.scheduler_id).collect();
        assert_eq!(schedulers.len(), 1);
        assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 5);
    }
}

pub(super) async fn group_expiry_follows_its_tasks(f: &Fixture) {
    let group = TaskId::new();
    f.create(json!({"taskGroupId": group})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(30) + hours(1));
    f.create(json!({"taskGroupId": group, "expires": f.now() + days(40)})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(40) + hours(1));
    f.create(json!({"taskGroupId": group, "expires": f.now() + days(20)})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(40) + hours(1));
}

pub(super) async fn group_is_resolved_with_its_last_task(f: &Fixture) {
    let group = TaskId::new();
    let one = f.create(json!({"taskGroupId": group})).await;
    let two = f.create(json!({"taskGroupId": group})).await;
    f.run_all(&[one, two]).await;
    f.events().await;
    f.apply(one, complete()).await;
    assert_eq!(f.event_names().await, ["task-completed"]);
    f.apply(two, Event::Fail { run: 0.into() }).await;
    assert_eq!(f.event_names().await, ["task-failed", "task-group-resolved"]);
    // A rerun does not take it back, and its end tells once more.
    f.apply(two, Event::Rerun).await;
    assert_eq!(f.event_names().await, ["task-pending"]);
    f.run(two, Event::Complete { run: 1.into() }).await;
    assert_eq!(f.event_names().await, ["task-running", "task-completed", "task-group-resolved"]);
}

pub(super) async fn whole_group_is_cancelled(f: &Fixture) {
    let group = TaskId::new();
    let done = f.create(json!({"taskGroupId": group})).await;
    f.run(done, complete()).await;
    let running = f.create(json!({"taskGroupId": group})).await;
    f.claim(1).await;
    let pending = f.create(json!({"taskGroupId": group})).await;
    let waiting = f.create(json!({"taskGroupId": group, "dependencies": [pending]})).await;
    let stranger = f.create(json!({})).await;
    let cancelled: BTreeSet<TaskId> = f.store.cancel_group(group, f.now()).await.unwrap().into_iter().collect();
    assert_eq!(cancelled, BTreeSet::from([running, pending, waiting]));
    assert_eq!(f.store.group_size(group).await.unwrap(), 4);
    assert_eq!(f.state(waiting).await, State::Exception);
    assert_eq!(f.state(stranger).await, State::Pending);
    assert_eq!(f.store.cancel_group(group, f.now()).await.unwrap(), []);
    assert_eq!(f.event_names().await.iter().filter(|name| *name == "task-group-resolved").count(), 2);
}

pub(super) async fn big_group_is_cancelled_while_it_works(f: &Fixture) {
    let group = TaskId::new();
    // More than are changed at a time.
    let members = 600;
    futures_util::future::join_all((0..members).map(|_| f.create(json!({"taskGroupId": group})))).await;
    f.store.seal_group(group, f.now()).await.unwrap();
    f.events().await;
    // Workers go on meanwhile; whatever they get to its end has not been cancelled.
    let work = async {
        let mut done = BTreeSet::new();
        loop {
            let claimed = f.claim(8).await;
            if claimed.is_empty() {
                return done;
            }
            for claim in claimed {
                if f.try_apply(claim.task.task_id, complete()).await.is_ok() {
                    done.insert(claim.task.task_id);
                }
            }
        }
    };
    let (done, cancelled) = tokio::join!(work, f.store.cancel_group(group, f.now()));
    let cancelled: BTreeSet<TaskId> = cancelled.unwrap().into_iter().collect();
    assert!(done.is_disjoint(&cancelled));
    assert_eq!(done.len() + cancelled.len(), members);
    assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 0);
    let events = f.event_names().await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("task-completed"), count("task-exception")), (done.len(), cancelled.len()));
    assert_eq!(count("task-group-resolved"), 1);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 0 });
}

pub(super) async fn whole_group_changes_priority(f: &Fixture) {
    let group = TaskId::new();
    let done = f.create(json!({"taskGroupId": group})).await;
    f.run(done, complete()).await;
    let one = f.create(json!({"taskGroupId": group})).await;
    let other = f.create(json!({"priority": "medium"})).await;
    f.events().await;
    let found = f.store.group(group).await.unwrap().unwrap();
    assert_eq!(f.store.change_group_priority(&found, &Priority::High, f.now()).await.unwrap(), [one]);
    let events = f.events().await;
    let (name, key, _, body) = events.last().unwrap();
    assert_eq!((name.as_str(), key.as_str()), ("task-group-priority-changed", format!("primary.{group}.-._").as_str()));
    assert_eq!((&body["tasksAffected"], &body["newPriority"]), (&json!(1), &json!("high")));
    assert_eq!(ids(&f.claim(2).await), [one, other]);
}

pub(super) async fn sealed_group_takes_no_tasks(f: &Fixture) {
    let group = f.create(json!({})).await;
    let first = f.store.seal_group(group, f.now()).await.unwrap().unwrap();
    let sealed = f.now();
    f.clock.advance(minutes(1));
    assert_eq!(f.store.seal_group(group, f.now()).await.unwrap().unwrap(), first);
    assert_eq!(first.sealed, Some(sealed));
    let refused = f.try_create(TaskId::new(), &json!({"taskGroupId": group})).await;
    assert_eq!(refused, Err(CreateRefusal::Sealed(group)));
    assert_eq!(f.store.seal_group(TaskId::new(), f.now()).await.unwrap(), None);
    assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 1);
}
