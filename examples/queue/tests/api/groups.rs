//! getTaskGroup, listTaskGroup, sealTaskGroup, cancelTaskGroup, changeTaskGroupPriority.

use futures_util::TryStreamExt as _;
use serde_json::json;
use taskcluster::queue::{TaskDefinitionRequest, TaskIdsRequest, TaskPriorityRequest};
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::hours;

use crate::tester::{Tester, object, refusal, refused, soon};

#[tokio::test]
async fn group_is_listed_in_pages() {
    let t = Tester::new().await;
    let group = t.create().await;
    let mut expected = vec![group];
    for _ in 0..4 {
        expected.push(t.create_with(|task| task.task_group_id = Some(group)).await);
    }
    let page = soon(t.queue.list_task_group(&group).limit(2)).await.unwrap();
    assert_eq!((page.tasks.len(), page.scheduler_id.as_str()), (2, "-"));
    let all: Vec<_> = soon(t.queue.list_task_group(&group).limit(2).stream().try_collect::<Vec<_>>()).await.unwrap();
    let mut listed: Vec<TaskId> = all.iter().map(|each| each.status.task_id).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let unknown = TaskId::new();
    assert_eq!(refusal(soon(t.queue.list_task_group(&unknown)).await), refused(404, "ResourceNotFound"));
    assert_eq!(refusal(soon(t.queue.list_task_group(&group).limit(0)).await).0, 400);
    assert_eq!(refusal(soon(t.with_scopes(["nothing"]).get_task_group(&group)).await).0, 403);
    assert_eq!(soon(t.queue.get_task_group(&group)).await.unwrap().task_group_id, group);
}

#[tokio::test]
async fn pages_of_big_tasks_are_short() {
    let t = Tester::new().await;
    let group = t.create().await;
    soon(t.queue.cancel_task(&group)).await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..3 {
        let big = object(&json!({"much": "x".repeat(5_000_000)}));
        let change = |task: &mut TaskDefinitionRequest| {
            task.task_group_id = Some(group);
            task.payload = big;
        };
        expected.push(t.create_with(change).await);
    }
    let pending: Vec<_> = soon(t.queue.list_pending_tasks("proj/ci").stream().try_collect::<Vec<_>>()).await.unwrap();
    assert_eq!(pending.iter().map(|each| each.task_id).collect::<Vec<_>>(), expected);
    let page = soon(t.queue.list_pending_tasks("proj/ci")).await.unwrap();
    assert_eq!(page.tasks.len(), 1);
    let mut wanted = TaskIdsRequest::new();
    wanted.task_ids = Some(expected.clone());
    let page = soon(t.queue.tasks(&wanted)).await.unwrap();
    assert_eq!(page.tasks.len(), 1);
    let rest = soon(t.queue.tasks(&wanted).continuation_token(page.continuation_token.unwrap())).await.unwrap();
    assert_eq!(rest.tasks.len(), 1);
    assert_eq!(soon(t.queue.statuses(&wanted)).await.unwrap().statuses.len(), 3);
    expected.push(group);
    expected.sort();
    let mut listed: Vec<TaskId> = Vec::new();
    let mut page = soon(t.queue.list_task_group(&group)).await.unwrap();
    loop {
        assert!(page.tasks.len() <= 2, "the small one and one of the others");
        listed.extend(page.tasks.iter().map(|each| each.status.task_id));
        let Some(token) = page.continuation_token else { break };
        page = soon(t.queue.list_task_group(&group).continuation_token(token)).await.unwrap();
    }
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn scheduler_of_a_group_is_fixed() {
    let t = Tester::new().await;
    let group = t.create().await;
    let result = t
        .try_create(&TaskId::new(), |task| {
            task.task_group_id = Some(group);
            task.scheduler_id = Some("other".to_owned());
        })
        .await;
    assert_eq!(refusal(result), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn sealed_group_takes_no_more_tasks() {
    let t = Tester::new().await;
    let group = t.create().await;
    t.events().await;
    let sealed = soon(t.queue.seal_task_group(&group)).await.unwrap().sealed;
    assert_eq!(sealed, Some(t.now()));
    t.clock.advance(hours(1));
    assert_eq!(soon(t.queue.seal_task_group(&group)).await.unwrap().sealed, sealed);
    assert_eq!(t.event_names().await, ["task-group-sealed", "task-group-sealed"]);
    let result = t.try_create(&TaskId::new(), |task| task.task_group_id = Some(group)).await;
    assert_eq!(refusal(result), refused(409, "RequestConflict"));
    assert_eq!(refusal(soon(t.queue.seal_task_group(&TaskId::new())).await).0, 404);
    let some = t.with_scopes([format!("queue:seal-task-group:other/{group}")]);
    assert_eq!(refusal(soon(some.seal_task_group(&group)).await).0, 403);
}

#[tokio::test]
async fn sealed_group_is_cancelled_as_a_whole() {
    let t = Tester::new().await;
    let group = t.running().await;
    soon(t.queue.report_completed(&group, 0)).await.unwrap();
    let pending = t.create_with(|task| task.task_group_id = Some(group)).await;
    let nobody = t.with_scopes(["nothing"]);
    assert_eq!(refusal(soon(nobody.cancel_task_group(&group)).await), refused(409, "RequestConflict"));
    soon(t.queue.seal_task_group(&group)).await.unwrap();
    assert_eq!(refusal(soon(nobody.cancel_task_group(&group)).await), refused(403, "InsufficientScopes"));
    let answer = soon(t.queue.cancel_task_group(&group)).await.unwrap();
    assert_eq!((answer.task_group_size, answer.cancelled_count, answer.task_ids), (2, 1, vec![pending]));
    assert_eq!(soon(t.queue.cancel_task_group(&group)).await.unwrap().cancelled_count, 0);
    assert_eq!(refusal(soon(t.queue.cancel_task_group(&TaskId::new())).await).0, 404);
}

#[tokio::test]
async fn priority_of_a_group_changes_for_its_unresolved_tasks() {
    let t = Tester::new().await;
    let group = t.running().await;
    soon(t.queue.report_completed(&group, 0)).await.unwrap();
    let pending = t.create_with(|task| task.task_group_id = Some(group)).await;
    t.events().await;
    let high = TaskPriorityRequest::new(Priority::High);
    let answer = soon(t.queue.change_task_group_priority(&group, &high)).await.unwrap();
    assert_eq!((answer.tasks_affected, answer.task_ids), (1, vec![pending]));
    assert_eq!(t.event_names().await, ["task-group-priority-changed"]);
    assert_eq!(t.status(&pending).await.priority, Some(Priority::High));
}

#[tokio::test]
async fn group_is_resolved_with_its_last_task() {
    let t = Tester::new().await;
    let group = t.running().await;
    let other = t.create_with(|task| task.task_group_id = Some(group)).await;
    t.claim().await;
    t.events().await;
    soon(t.queue.report_completed(&group, 0)).await.unwrap();
    assert_eq!(t.event_names().await, ["task-completed"]);
    soon(t.queue.report_failed(&other, 0)).await.unwrap();
    let events = t.events().await;
    assert_eq!(events[1].0, "task-group-resolved");
    assert_eq!(events[1].1["taskGroupId"], group.to_string());
}
