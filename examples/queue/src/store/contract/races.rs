//! Two processes at the same tasks at the same time.

use super::fixture::{Fixture, complete, end_second_handle, ids, second_handle};
use super::prelude::*;

pub(super) async fn group_whose_tasks_end_at_once_is_resolved_once(f: &Fixture) {
    let other = second_handle(f).await;
    let group = TaskId::new();
    let tasks = futures_util::future::join_all((0..30).map(|_| f.create(json!({"taskGroupId": group})))).await;
    assert_eq!(f.claim(30).await.len(), 30);
    f.events().await;
    futures_util::future::join_all(tasks.iter().enumerate().map(async |(number, id)| {
        let store = if number % 2 == 0 { &f.store } else { &other };
        store.apply(*id, complete(), f.now()).await.unwrap().unwrap();
    }))
    .await;
    let told = f.event_names().await;
    let count = |name| told.iter().filter(|told| *told == name).count();
    assert_eq!((count("task-completed"), count("task-group-resolved")), (30, 1));
    assert_eq!(told.last().unwrap(), "task-group-resolved");
    end_second_handle(f, &other).await;
}

pub(super) async fn task_that_is_ended_twice_at_once_ends_one_way(f: &Fixture) {
    let other = second_handle(f).await;
    let tasks = futures_util::future::join_all((0..30).map(|_| f.create(json!({})))).await;
    assert_eq!(ids(&f.claim(30).await).len(), 30);
    f.events().await;
    futures_util::future::join_all(tasks.iter().map(async |id| {
        // Whoever comes second is refused, or changes nothing.
        let (completed, canceled) =
            tokio::join!(f.store.apply(*id, complete(), f.now()), other.apply(*id, Event::Cancel, f.now()));
        (completed.unwrap(), canceled.unwrap())
    }))
    .await;
    let mut told: BTreeMap<TaskId, Vec<String>> = BTreeMap::new();
    for (name, _, _, body) in f.events().await {
        if name != "task-group-resolved" {
            told.entry(body["status"]["taskId"].as_str().unwrap().parse().unwrap()).or_default().push(name);
        }
    }
    for id in &tasks {
        let expected = match f.state(*id).await {
            State::Completed => "task-completed",
            State::Exception => "task-exception",
            other => panic!("{other:?}"),
        };
        assert_eq!(told[id], [expected]);
    }
    end_second_handle(f, &other).await;
}
