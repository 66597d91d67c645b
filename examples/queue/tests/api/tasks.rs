//! createTask, task, tasks, status, statuses, scheduleTask, rerunTask, cancelTask, changeTaskPriority.

use serde_json::json;
use taskcluster::queue::{TaskIdsRequest, TaskPriorityRequest, TaskState};
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use crate::tester::{Tester, object, refusal, refused, soon};

const CREATE: [&str; 3] =
    ["queue:create-task:project:none", "queue:scheduler-id:-", "queue:create-task:lowest:proj/ci"];

#[tokio::test]
async fn created_task_is_pending_with_its_defaults() {
    let t = Tester::new().await;
    let id = TaskId::new();
    let status = t.try_create(&id, |_| {}).await.unwrap().status;
    assert_eq!(status.state, TaskState::Pending);
    assert_eq!(status.runs.len(), 1);
    assert_eq!(status.retries_left, 5);
    let task = soon(t.queue.task(&id)).await.unwrap();
    assert_eq!((task.provisioner_id.as_str(), task.worker_type.as_str()), ("proj", "ci"));
    assert_eq!((task.scheduler_id.as_str(), task.project_id.as_deref()), ("-", Some("none")));
    assert_eq!(task.task_group_id, id);
    assert_eq!(task.payload, t.define().payload);
    assert_eq!(task.expires, Some("2027-03-04T08:06:07.000Z".parse::<Timestamp>().unwrap()));
    assert_eq!(t.event_names().await, ["task-defined", "task-pending"]);
}

#[tokio::test]
async fn unknown_tasks_are_not_found() {
    let t = Tester::new().await;
    let id = TaskId::new();
    assert_eq!(refusal(soon(t.queue.task(&id)).await), refused(404, "ResourceNotFound"));
    assert_eq!(refusal(soon(t.queue.status(&id)).await), refused(404, "ResourceNotFound"));
    for result in [
        soon(t.queue.schedule_task(&id)).await,
        soon(t.queue.rerun_task(&id)).await,
        soon(t.queue.cancel_task(&id)).await,
        // 404 precedes the scopes.
        soon(t.with_scopes(["nothing"]).cancel_task(&id)).await,
    ] {
        assert_eq!(refusal(result), refused(404, "ResourceNotFound"));
    }
}

#[tokio::test]
async fn creation_needs_every_scope() {
    let t = Tester::new().await;
    let mut task = t.define();
    task.scopes = Some(vec!["some:scope".to_owned()]);
    task.routes = Some(vec!["index.a".to_owned()]);
    let all: Vec<&str> = CREATE.into_iter().chain(["some:scope", "queue:route:index.a"]).collect();
    for missing in &all {
        let some = t.with_scopes(all.iter().filter(|scope| *scope != missing).copied());
        let result = soon(some.create_task(&TaskId::new(), &task)).await;
        assert_eq!(refusal(result), refused(403, "InsufficientScopes"), "without {missing}");
    }
    soon(t.with_scopes(all).create_task(&TaskId::new(), &task)).await.unwrap();
    assert_eq!(
        refusal(soon(t.anonymous().create_task(&TaskId::new(), &task)).await),
        refused(403, "InsufficientScopes")
    );
}

#[tokio::test]
async fn scopes_for_a_higher_priority_allow_lower_ones() {
    let t = Tester::new().await;
    let high =
        t.with_scopes(["queue:create-task:project:none", "queue:scheduler-id:-", "queue:create-task:high:proj/ci"]);
    let mut task = t.define();
    task.priority = Some(Priority::Medium);
    soon(high.create_task(&TaskId::new(), &task)).await.unwrap();
    task.priority = Some(Priority::Highest);
    assert_eq!(refusal(soon(high.create_task(&TaskId::new(), &task)).await).0, 403);
}

#[tokio::test]
async fn creation_can_be_repeated_word_for_word() {
    let t = Tester::new().await;
    let id = TaskId::new();
    let task = t.define();
    soon(t.queue.create_task(&id, &task)).await.unwrap();
    t.clock.advance(minutes(1));
    soon(t.queue.create_task(&id, &task)).await.unwrap();
    assert_eq!(t.event_names().await, ["task-defined", "task-pending", "task-defined", "task-pending"]);
    // Dates count in milliseconds, however they are written.
    let mut finer = serde_json::to_value(&task).unwrap();
    for date in ["created", "deadline"] {
        let written = finer[date].as_str().unwrap().strip_suffix('Z').unwrap().to_owned();
        finer[date] = format!("{written}999+00:00").into();
    }
    let path = format!("/api/queue/v1/task/{id}");
    let answer = t.signed(http::Method::PUT, &path, &finer.to_string()).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    let mut other = task.clone();
    other.payload = object(&json!({"command": ["false"]}));
    assert_eq!(refusal(soon(t.queue.create_task(&id, &other)).await), refused(409, "RequestConflict"));
    soon(t.queue.seal_task_group(&id)).await.unwrap();
    soon(t.queue.create_task(&id, &task)).await.unwrap();
}

#[tokio::test]
async fn senseless_definitions_are_refused() {
    let t = Tester::new().await;
    let now = t.now();
    let input_error = refused(400, "InputError");
    let id = TaskId::new();
    assert_eq!(refusal(t.try_create(&id, |task| task.created = now - hours(1)).await), input_error);
    assert_eq!(refusal(t.try_create(&id, |task| task.deadline = now - minutes(1)).await), input_error);
    assert_eq!(refusal(t.try_create(&id, |task| task.deadline = now + days(6)).await), input_error);
    assert_eq!(refusal(t.try_create(&id, |task| task.expires = Some(now + hours(1))).await), input_error);
    assert_eq!(refusal(t.try_create(&id, |task| task.scopes = Some(vec!["a**".to_owned()])).await), input_error);
    assert_eq!(refusal(t.try_create(&id, |task| task.task_queue_id = None).await), input_error);
    let invalid = refused(400, "InputValidationError");
    assert_eq!(refusal(t.try_create(&id, |task| task.priority = Some(Priority::from("normal"))).await), invalid);
    assert_eq!(refusal(t.try_create(&id, |task| task.metadata.source = "file:///etc".to_owned()).await), invalid);
    assert_eq!(refusal(t.try_create(&id, |task| task.retries = Some(50)).await), invalid);
    assert_eq!(refusal(soon(t.queue.status(&id)).await).0, 404);
}

#[tokio::test]
async fn a_source_is_in_the_web_or_in_a_repository() {
    let t = Tester::new().await;
    for source in
        ["http://example.com/a", "https://example.com/a", "ssh://git@example.com/a", "git@example.com:a/b.git"]
    {
        let id = t.create_with(|task| task.metadata.source = source.to_owned()).await;
        assert_eq!(soon(t.queue.task(&id)).await.unwrap().metadata.source, source);
    }
}

#[tokio::test]
async fn task_queue_may_be_given_in_halves() {
    let t = Tester::new().await;
    let id = t
        .create_with(|task| {
            task.task_queue_id = None;
            task.provisioner_id = Some("proj".to_owned());
            task.worker_type = Some("ci".to_owned());
        })
        .await;
    assert_eq!(t.status(&id).await.task_queue_id.to_string(), "proj/ci");
    let contradiction = t
        .try_create(&TaskId::new(), |task| {
            task.provisioner_id = Some("other".to_owned());
            task.worker_type = Some("ci".to_owned());
        })
        .await;
    assert_eq!(refusal(contradiction), refused(400, "InputError"));
}

#[tokio::test]
async fn many_tasks_are_read_at_once() {
    let t = Tester::new().await;
    let ids = [t.create().await, t.create().await, t.create().await];
    let mut wanted = TaskIdsRequest::new();
    wanted.task_ids = Some(ids.iter().copied().chain([TaskId::new()]).collect());
    let all = soon(t.queue.tasks(&wanted)).await.unwrap();
    assert_eq!(all.tasks.len(), 3);
    assert_eq!(soon(t.queue.statuses(&wanted)).await.unwrap().statuses.len(), 3);
    let page = soon(t.queue.statuses(&wanted).limit(2)).await.unwrap();
    assert!(page.continuation_token.is_some());
    let some = t.with_scopes([format!("queue:status:{}", ids[0])]);
    assert_eq!(refusal(soon(some.statuses(&wanted)).await).0, 403);
    wanted.task_ids = Some(vec![ids[0]]);
    assert_eq!(soon(some.statuses(&wanted)).await.unwrap().statuses.len(), 1);
}

#[tokio::test]
async fn scheduling_overrules_dependencies_and_takes_scopes_of_the_project() {
    let t = Tester::new().await;
    let first = t.create().await;
    let id = t.create_with(|task| task.dependencies = Some(vec![first])).await;
    assert_eq!(t.state(&id).await, "unscheduled");
    let project = t.with_scopes(["queue:schedule-task-in-project:none"]);
    assert_eq!(soon(project.schedule_task(&id)).await.unwrap().status.state, TaskState::Pending);
    soon(project.schedule_task(&id)).await.unwrap();
    assert_eq!(t.status(&id).await.runs.len(), 1);
    assert_eq!(refusal(soon(project.cancel_task(&id)).await).0, 403);
    let legacy = t.with_scopes(["queue:cancel-task".to_owned(), format!("assume:scheduler-id:-/{id}")]);
    soon(legacy.cancel_task(&id)).await.unwrap();
}

#[tokio::test]
async fn rerun_gives_resolved_tasks_another_run() {
    let t = Tester::new().await;
    let id = t.running().await;
    assert_eq!(soon(t.queue.rerun_task(&id)).await.unwrap().status.state, TaskState::Running);
    soon(t.queue.report_failed(&id, 0)).await.unwrap();
    let status = soon(t.queue.rerun_task(&id)).await.unwrap().status;
    assert_eq!((status.state, status.runs.len()), (TaskState::Pending, 2));
    assert_eq!(soon(t.queue.rerun_task(&id)).await.unwrap().status.runs.len(), 2);
    t.clock.advance(hours(4));
    assert_eq!(refusal(soon(t.queue.rerun_task(&id)).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn cancelling_ends_a_task_once() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.events().await;
    let status = soon(t.queue.cancel_task(&id)).await.unwrap().status;
    assert_eq!(status.state, TaskState::Exception);
    assert_eq!(status.runs[0].reason_resolved.as_ref().unwrap().to_string(), "canceled");
    soon(t.queue.cancel_task(&id)).await.unwrap();
    assert_eq!(t.event_names().await, ["task-exception", "task-group-resolved", "task-exception"]);
    assert_eq!(refusal(soon(t.queue.report_completed(&id, 0)).await), refused(409, "RequestConflict"));
    let unscheduled = t.create_with(|task| task.dependencies = Some(vec![id])).await;
    assert_eq!(soon(t.queue.cancel_task(&unscheduled)).await.unwrap().status.runs.len(), 1);
}

#[tokio::test]
async fn priority_changes_until_the_task_is_resolved() {
    let t = Tester::new().await;
    let (first, second) = (t.create().await, t.create().await);
    let high = TaskPriorityRequest::new(Priority::High);
    let of_queue = t.with_scopes(["queue:change-task-priority-in-queue:proj/ci"]);
    soon(of_queue.change_task_priority(&second, &high)).await.unwrap();
    soon(of_queue.change_task_priority(&second, &high)).await.unwrap();
    assert_eq!(soon(t.queue.task(&second)).await.unwrap().priority, Priority::High);
    let claim = t.claim().await;
    assert_eq!((claim.status.task_id, claim.task.priority), (second, Priority::High));
    soon(t.queue.report_failed(&second, 0)).await.unwrap();
    assert_eq!(
        refusal(soon(of_queue.change_task_priority(&second, &TaskPriorityRequest::new(Priority::Low))).await),
        refused(409, "RequestConflict")
    );
    // A rerun keeps it.
    soon(t.queue.rerun_task(&second)).await.unwrap();
    assert_eq!(t.claim().await.status.task_id, second);
    assert_eq!(refusal(soon(t.with_scopes(["nothing"]).change_task_priority(&first, &high)).await).0, 403);
}
