//! Creating, claiming and resolving tasks.

use super::fixture::*;
use super::prelude::*;

pub(super) async fn created_task_is_pending_and_told_of(f: &Fixture) {
    let group = TaskId::new();
    let id = f.create(json!({"taskGroupId": group, "routes": ["index.a", "index.b"], "schedulerId": "sched"})).await;
    let (task, definition) = f.store.task(id).await.unwrap().unwrap();
    assert_eq!(task.state(), State::Pending);
    assert_eq!(serde_json::from_str::<Value>(&definition).unwrap()["taskGroupId"], group.to_string());
    let events = f.events().await;
    let names: Vec<&str> = events.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["task-defined", "task-pending"]);
    assert_eq!(events[0].1, format!("primary.{id}._._._.proj.ci.sched.{group}._"));
    assert_eq!(events[1].1, format!("primary.{id}.0._._.proj.ci.sched.{group}._"));
    assert_eq!(events[1].2, ["route.index.a", "route.index.b"]);
    assert_eq!(events[0].3["status"]["state"], "unscheduled");
    assert_eq!(events[0].3["version"], 1);
    assert_eq!(events[1].3["status"]["state"], "pending");
    assert_eq!(events[1].3["task"]["tags"]["kind"], "test");
    assert_eq!(f.store.task(TaskId::new()).await.unwrap(), None);
}

pub(super) async fn repeated_creation_succeeds_and_a_different_one_conflicts(f: &Fixture) {
    let id = TaskId::new();
    f.try_create(id, &json!({})).await.unwrap();
    f.events().await;
    let again = f.try_create(id, &json!({})).await.unwrap();
    assert_eq!(again.state(), State::Pending);
    assert_eq!(f.event_names().await, ["task-defined", "task-pending"]);
    assert_eq!(f.try_create(id, &json!({"payload": {"a": 1}})).await, Err(CreateRefusal::Exists(id)));
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 1, claimed: 0 });
    let group = f.store.group(id).await.unwrap().unwrap();
    assert_eq!(group.unresolved, 1);
}

pub(super) async fn repeated_creation_succeeds_in_a_sealed_group(f: &Fixture) {
    let id = TaskId::new();
    f.try_create(id, &json!({})).await.unwrap();
    f.apply(id, priority(Priority::High)).await;
    f.store.seal_group(id, f.now()).await.unwrap().unwrap();
    assert_eq!(f.try_create(id, &json!({})).await.unwrap().priority, Priority::High);
}

pub(super) async fn definition_keeps_what_was_sent(f: &Fixture) {
    let payload = json!({"z": 1, "a": "\u{0} é \u{1f600} ' \\ \"", "n": 12345678901234567890_u64, "f": 0.1, "deep": [[{}], null]});
    let id = f.create(json!({"payload": payload})).await;
    let (_, definition) = f.store.task(id).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&definition).unwrap()["payload"], payload);
    assert_eq!(f.claim(1).await[0].definition, definition);
}

pub(super) async fn claims_are_in_order_of_priority_and_then_of_age(f: &Fixture) {
    let mut made = Vec::new();
    for priority in ["low", "high", "lowest", "high", "low"] {
        made.push(f.create(json!({"priority": priority})).await);
    }
    assert_eq!(ids(&f.claim(2).await), [made[1], made[3]]);
    assert_eq!(ids(&f.claim(32).await), [made[0], made[4], made[2]]);
    assert_eq!(f.claim(1).await, Vec::new());
}

pub(super) async fn claims_skip_tasks_past_their_deadline(f: &Fixture) {
    f.create(json!({"deadline": f.now() + minutes(1)})).await;
    let other = f.create(json!({})).await;
    f.clock.advance(minutes(2));
    assert_eq!(ids(&f.claim(2).await), [other]);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 1 });
}

pub(super) async fn claimed_and_completed_life_is_told_of(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.events().await;
    let claimed = f.claim(1).await;
    assert_eq!(claimed[0].run, RunId::from(0_u32));
    let task = f.apply(id, complete()).await;
    assert_eq!(task.state(), State::Completed);
    let events = f.events().await;
    let names: Vec<&str> = events.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["task-running", "task-completed", "task-group-resolved"]);
    assert_eq!(events[0].1, format!("primary.{id}.0.group.one.proj.ci.-.{id}._"));
    assert_eq!(events[0].3["takenUntil"], (f.now() + minutes(20)).to_string());
    assert_eq!(events[1].3["workerId"], "one");
    assert_eq!(events[2].1, format!("primary.{id}.-._"));
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 0 });
    // A repeat is told of again, and nothing else happens.
    f.apply(id, complete()).await;
    assert_eq!(f.event_names().await, ["task-completed"]);
    assert!(matches!(f.try_apply(id, Event::Fail { run: 0.into() }).await, Err(ApplyRefusal::Refused(_))));
    let unknown = TaskId::new();
    assert_eq!(f.try_apply(unknown, complete()).await, Err(ApplyRefusal::NoSuchTask(unknown)));
}

pub(super) async fn many_claimers_get_each_task_once(f: &Fixture) {
    let tasks = 120;
    let other = second_handle(f).await;
    let created = futures_util::future::join_all((0..tasks).map(|_| f.create(json!({})))).await;
    let other = &other;
    let claimers = (0..24).map(|number| async move {
        let worker = worker_named(&format!("w{number}"));
        let store = if number % 2 == 0 { &f.store } else { other };
        let mut got = Vec::new();
        loop {
            let claimed =
                store.claim("proj/ci", &worker, 1 + number % 4, f.now() + minutes(20), f.now()).await.unwrap();
            if claimed.is_empty() {
                // What another claimer holds back it may still give up; the count is the truth.
                if store.counts("proj/ci", f.now()).await.unwrap().pending == 0 {
                    return got;
                }
                tokio::task::yield_now().await;
            }
            for claimed in claimed {
                assert_eq!(claimed.task.run(claimed.run).unwrap().claim().unwrap().worker, worker);
                got.push(claimed.task.task_id);
            }
        }
    });
    let got: Vec<TaskId> = futures_util::future::join_all(claimers).await.into_iter().flatten().collect();
    assert_eq!(got.len(), tasks);
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), created.into_iter().collect());
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: tasks as u64 });
    end_second_handle(f, other).await;
}

pub(super) async fn retry_queues_behind_others(f: &Fixture) {
    let first = f.create(json!({})).await;
    let second = f.create(json!({})).await;
    assert_eq!(ids(&f.claim(1).await), [first]);
    f.events().await;
    let shutdown = |run: u32| Event::Except { run: run.into(), reason: ExceptionReason::WorkerShutdown };
    f.apply(first, shutdown(0)).await;
    assert_eq!(f.event_names().await, ["task-exception", "task-pending"]);
    assert_eq!(ids(&f.claim(2).await), [second, first]);
    let task = f.apply(first, shutdown(1)).await;
    assert_eq!((task.state(), task.retries_left, task.runs.len()), (State::Exception, 0, 2));
}

pub(super) async fn changed_priority_counts_for_claims(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({})).await;
    f.events().await;
    f.apply(two, priority(Priority::Highest)).await;
    let events = f.events().await;
    assert_eq!(events[0].0, "task-priority-changed");
    assert_eq!((&events[0].3["oldPriority"], &events[0].3["newPriority"]), (&json!("lowest"), &json!("highest")));
    // The same once more succeeds and tells nothing.
    f.apply(two, priority(Priority::Highest)).await;
    assert_eq!(f.event_names().await, Vec::<String>::new());
    assert_eq!(ids(&f.claim(2).await), [two, one]);
    f.apply(two, complete()).await;
    assert!(f.try_apply(two, priority(Priority::Low)).await.is_err());
}

pub(super) async fn state_outlives_the_process(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    let before = f.store.task(id).await.unwrap();
    f.store.close().await;
    assert!(matches!(f.store.apply(id, complete(), f.now()).await, Err(StoreError::Closed)));
    let again = Store::open(&f.database).await.unwrap();
    assert_eq!(again.task(id).await.unwrap(), before);
    assert_eq!(again.apply(id, complete(), f.now()).await.unwrap().unwrap().state(), State::Completed);
    again.close().await;
}

pub(super) async fn requests_in_one_batch_see_one_another(f: &Fixture) {
    let id = TaskId::new();
    let same = futures_util::future::join_all((0..10).map(|_| async { f.try_create(id, &json!({})).await })).await;
    assert!(same.iter().all(Result::is_ok));
    let task = f.store.status(id).await.unwrap().unwrap();
    assert_eq!(task.runs.len(), 1);
    assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 1);
    f.claim(1).await;
    let store = Arc::new(f.store.clone());
    let reports = (0..10).map(|number| {
        let store = Arc::clone(&store);
        let event = if number % 2 == 0 { complete() } else { Event::Fail { run: 0.into() } };
        async move { store.apply(id, event, start()).await.unwrap().is_ok() }
    });
    let successes = futures_util::future::join_all(reports).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(successes, 5);
    assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 0);
}

pub(super) async fn other_processes_are_woken(f: &Fixture) {
    if !matches!(f.database, Database::Postgres(_)) {
        return;
    }
    let other = second_handle(f).await;
    f.create(json!({})).await;
    let woken = tokio::time::timeout(minutes(2), other.next_wake()).await.expect("a notification comes");
    // After a connection that was made anew it says that it may have been any.
    assert!(woken.is_none_or(|queue| queue == "proj/ci"));
    other.close().await;
}

pub(super) async fn the_same_task_created_by_two_processes_is_one(f: &Fixture) {
    let other = second_handle(f).await;
    for _ in 0..10 {
        let id = TaskId::new();
        let (new, now) = (f.define(id, &json!({})), f.now());
        let (one, two) = tokio::join!(f.store.create(new.clone(), now), other.create(new, now));
        assert_eq!(one.unwrap().unwrap().runs.len(), 1);
        assert_eq!(two.unwrap().unwrap().runs.len(), 1);
        assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 1);
    }
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap().pending, 10);
    end_second_handle(f, &other).await;
}
