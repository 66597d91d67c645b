//! reportCompleted, reportFailed, reportException.

use taskcluster::queue::{ExceptionReason, TaskExceptionRequest, TaskState};
use taskcluster_core::ids::TaskId;

use crate::tester::{Tester, refusal, refused, soon};

#[tokio::test]
async fn reports_can_be_repeated_but_not_changed() {
    let t = Tester::new().await;
    let (done, failed) = (t.running().await, t.running().await);
    soon(t.queue.report_completed(&done, 0)).await.unwrap();
    soon(t.queue.report_failed(&failed, 0)).await.unwrap();
    t.events().await;
    soon(t.queue.report_completed(&done, 0)).await.unwrap();
    soon(t.queue.report_failed(&failed, 0)).await.unwrap();
    assert_eq!(t.event_names().await, ["task-completed", "task-failed"]);
    assert_eq!(refusal(soon(t.queue.report_failed(&done, 0)).await), refused(409, "RequestConflict"));
    assert_eq!(refusal(soon(t.queue.report_completed(&failed, 0)).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn pending_and_unknown_runs_cannot_be_reported() {
    let t = Tester::new().await;
    let id = t.create().await;
    assert_eq!(refusal(soon(t.queue.report_completed(&id, 0)).await), refused(409, "RequestConflict"));
    assert_eq!(refusal(soon(t.queue.report_completed(&id, 1)).await), refused(404, "ResourceNotFound"));
    assert_eq!(refusal(soon(t.queue.report_failed(&TaskId::new(), 0)).await), refused(404, "ResourceNotFound"));
    let stranger = t.with_scopes([format!("queue:resolve-task:{id}/1")]);
    assert_eq!(refusal(soon(stranger.report_completed(&id, 0)).await), refused(403, "InsufficientScopes"));
}

#[tokio::test]
async fn exceptions_worth_another_try_are_retried() {
    for (reason, created) in
        [(ExceptionReason::WorkerShutdown, "retry"), (ExceptionReason::IntermittentTask, "task-retry")]
    {
        let t = Tester::new().await;
        let id = t.create_with(|task| task.retries = Some(1)).await;
        t.claim().await;
        t.events().await;
        let report = TaskExceptionRequest::new(reason);
        let status = soon(t.queue.report_exception(&id, 0, &report)).await.unwrap().status;
        assert_eq!((status.state, status.retries_left, status.runs.len()), (TaskState::Pending, 0, 2));
        assert_eq!(status.runs[1].reason_created.to_string(), created);
        assert_eq!(t.event_names().await, ["task-exception", "task-pending"]);
        soon(t.queue.report_exception(&id, 0, &report)).await.unwrap();
        t.claim().await;
        let status = soon(t.queue.report_exception(&id, 1, &report)).await.unwrap().status;
        assert_eq!((status.state, status.runs.len()), (TaskState::Exception, 2));
    }
}

#[tokio::test]
async fn other_exceptions_are_final() {
    let reasons =
        [ExceptionReason::MalformedPayload, ExceptionReason::ResourceUnavailable, ExceptionReason::InternalError];
    for reason in reasons {
        let t = Tester::new().await;
        let id = t.running().await;
        let report = TaskExceptionRequest::new(reason.clone());
        let status = soon(t.queue.report_exception(&id, 0, &report)).await.unwrap().status;
        assert_eq!((status.state, status.runs.len()), (TaskState::Exception, 1));
        assert_eq!(status.runs[0].reason_resolved.as_ref().unwrap().to_string(), reason.to_string());
        soon(t.queue.report_exception(&id, 0, &report)).await.unwrap();
        let other = TaskExceptionRequest::new(ExceptionReason::WorkerShutdown);
        assert_eq!(refusal(soon(t.queue.report_exception(&id, 0, &other)).await), refused(409, "RequestConflict"));
    }
}

#[tokio::test]
async fn very_old_workers_report_failures_as_completed_without_success() {
    let t = Tester::new().await;
    for (body, state) in
        [(r#"{"success": false}"#, "failed"), (r#"{"success": true}"#, "completed"), ("{", "completed")]
    {
        let id = t.running().await;
        let path = format!("/api/queue/v1/task/{id}/runs/0/completed");
        let answer = t.post(&path, body).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        assert_eq!(t.state(&id).await, state, "{body}");
    }
}
