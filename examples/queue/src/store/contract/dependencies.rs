//! Tasks that wait for others.

use super::fixture::*;
use super::prelude::*;

pub(super) async fn chain_of_dependencies_runs_in_order(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({"dependencies": [one]})).await;
    let three = f.create(json!({"dependencies": [two]})).await;
    assert_eq!(f.state(two).await, State::Unscheduled);
    f.run(one, complete()).await;
    assert_eq!(f.state(three).await, State::Unscheduled);
    f.run(two, complete()).await;
    f.run(three, complete()).await;
    // What is done already is not waited for.
    let four = f.create(json!({"dependencies": [one, three]})).await;
    f.run(four, complete()).await;
}

pub(super) async fn diamond_releases_its_end_once(f: &Fixture) {
    let top = f.create(json!({})).await;
    let left = f.create(json!({"dependencies": [top]})).await;
    let right = f.create(json!({"dependencies": [top]})).await;
    let end = f.create(json!({"dependencies": [left, right, top]})).await;
    f.run(top, complete()).await;
    assert_eq!(f.claim(2).await.len(), 2);
    f.apply(left, complete()).await;
    assert_eq!(f.state(end).await, State::Unscheduled);
    f.apply(right, complete()).await;
    assert_eq!(f.state(end).await, State::Pending);
    assert_eq!(f.store.status(end).await.unwrap().unwrap().runs.len(), 1);
}

pub(super) async fn fan_out_is_released_together(f: &Fixture) {
    let top = f.create(json!({})).await;
    let created = futures_util::future::join_all((0..150).map(|_| f.create(json!({"dependencies": [top]})))).await;
    f.run(top, complete()).await;
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap().pending, created.len() as u64);
}

pub(super) async fn self_dependency_waits_for_schedule(f: &Fixture) {
    let (id, other) = (TaskId::new(), f.create(json!({})).await);
    let task = f.try_create(id, &json!({"dependencies": [id, other]})).await.unwrap();
    assert_eq!((task.state(), task.unsatisfied), (State::Unscheduled, 2));
    f.run(other, complete()).await;
    assert_eq!(f.state(id).await, State::Unscheduled);
    f.apply(id, Event::Schedule).await;
    let task = f.run(id, complete()).await;
    assert_eq!(task.runs.len(), 1);
    assert_eq!(f.state(id).await, State::Completed);
}

pub(super) async fn dependencies_must_exist_and_last(f: &Fixture) {
    let missing = TaskId::new();
    let short = f.create(json!({"deadline": f.now() + minutes(10), "expires": f.now() + minutes(20)})).await;
    let id = TaskId::new();
    let refused = f.try_create(id, &json!({"dependencies": [missing, short]})).await;
    assert_eq!(refused, Err(CreateRefusal::Dependencies { missing: vec![missing], expiring: vec![short] }));
    assert_eq!(f.store.task(id).await.unwrap(), None);
    // The group was made for the task, but counts nothing.
    assert_eq!(f.store.group(id).await.unwrap().map_or(0, |group| group.unresolved), 0);
}

pub(super) async fn failure_releases_only_those_who_take_it(f: &Fixture) {
    let top = f.create(json!({})).await;
    let wants_success = f.create(json!({"dependencies": [top]})).await;
    let wants_any = f.create(json!({"dependencies": [top], "requires": "all-resolved"})).await;
    f.run(top, Event::Fail { run: 0.into() }).await;
    assert_eq!(f.state(wants_success).await, State::Unscheduled);
    assert_eq!(f.state(wants_any).await, State::Pending);
    // Cancelling counts as an exception.
    let other = f.create(json!({})).await;
    let after_cancel = f.create(json!({"dependencies": [other], "requires": "all-resolved"})).await;
    f.apply(other, Event::Cancel).await;
    assert_eq!(f.state(after_cancel).await, State::Pending);
    // A rerun that works out satisfies what the failure did not.
    f.apply(wants_any, Event::Cancel).await;
    f.apply(after_cancel, Event::Cancel).await;
    f.apply(top, Event::Rerun).await;
    f.run(top, Event::Complete { run: 1.into() }).await;
    assert_eq!(f.state(wants_success).await, State::Pending);
}

pub(super) async fn satisfied_edges_stay_satisfied(f: &Fixture) {
    let one = f.create(json!({})).await;
    f.run(one, complete()).await;
    let two = f.create(json!({})).await;
    let end = f.create(json!({"dependencies": [one, two]})).await;
    assert_eq!(f.store.status(end).await.unwrap().unwrap().unsatisfied, 1);
    f.run(two, complete()).await;
    f.apply(two, Event::Rerun).await;
    f.claim(5).await;
    f.apply(two, Event::Fail { run: 1.into() }).await;
    assert_eq!(f.state(end).await, State::Running);
}

pub(super) async fn dependents_past_their_deadline_are_not_released(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({"dependencies": [one], "deadline": f.now() + minutes(5)})).await;
    f.claim(1).await;
    f.clock.advance(minutes(6));
    f.apply(one, complete()).await;
    assert_eq!(f.state(two).await, State::Unscheduled);
}

pub(super) async fn required_tasks_resolved_at_once_release_exactly_once(f: &Fixture) {
    let other = second_handle(f).await;
    let groups = 25;
    let mut all = Vec::new();
    for _ in 0..groups {
        let required = [f.create(json!({})).await, f.create(json!({})).await, f.create(json!({})).await];
        let end = f.create(json!({"dependencies": required})).await;
        all.push((required, end));
    }
    while !f.claim(32).await.is_empty() {}
    let now = f.now();
    let resolutions = all.iter().flat_map(|(required, _)| required.iter().enumerate()).map(|(number, id)| {
        let store = if number % 2 == 0 { &f.store } else { &other };
        async move { store.apply(*id, complete(), now).await.unwrap().unwrap() }
    });
    futures_util::future::join_all(resolutions).await;
    for (_, end) in &all {
        let task = f.store.status(*end).await.unwrap().unwrap();
        assert_eq!((task.state(), task.unsatisfied, task.runs.len()), (State::Pending, 0, 1));
    }
    assert_eq!(f.store.counts("proj/ci", now).await.unwrap().pending, groups);
    let mut pending: BTreeMap<String, usize> = BTreeMap::new();
    for (name, key, ..) in f.events().await {
        if name == "task-pending" {
            *pending.entry(key).or_default() += 1;
        }
    }
    assert!(pending.values().all(|count| *count == 1), "a task was made pending twice: {pending:?}");
    end_second_handle(f, &other).await;
}

pub(super) async fn dependents_created_while_the_required_is_resolved_are_not_missed(f: &Fixture) {
    let other = second_handle(f).await;
    for _ in 0..20 {
        let required = f.create(json!({})).await;
        f.claim(1).await;
        let now = f.now();
        let resolve = async { other.apply(required, complete(), now).await.unwrap().unwrap() };
        let create = futures_util::future::join_all((0..6).map(|_| f.create(json!({"dependencies": [required]}))));
        let (_, dependents) = tokio::join!(resolve, create);
        for dependent in dependents {
            let task = f.store.status(dependent).await.unwrap().unwrap();
            assert_eq!((task.state(), task.unsatisfied), (State::Pending, 0), "a dependent was missed");
        }
        while !f.claim(32).await.is_empty() {}
    }
    end_second_handle(f, &other).await;
}
