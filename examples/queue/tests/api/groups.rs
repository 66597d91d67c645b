//! getTaskGroup, listTaskGroup, sealTaskGroup, cancelTaskGroup, changeTaskGroupPriority.

use futures_util::TryStreamExt as _;
use taskcluster::queue::TaskPriorityRequest;
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::hours;

use crate::tester::{Tester, refusal, refused, soon};

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
