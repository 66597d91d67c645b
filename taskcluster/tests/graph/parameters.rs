//! What a decision task knows of its push.

use serde_json::json;
use taskcluster::graph::{Parameters, ParametersError};
use taskcluster::queue::Queue;
use taskcluster::{Caller, TaskQueueId};
use taskcluster_core::transport::testing::{Answer, ScriptedTransport};

use crate::{CREATED, decision_task};

pub(crate) fn shown() -> Parameters {
    Parameters::for_show(TaskQueueId::from_parts("local", "native").unwrap(), "https://example.com/git", "abc")
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "TASK_ID" => return Some(decision_task().to_string()),
        "HEAD_REPOSITORY" => "https://example.com/git",
        "HEAD_REVISION" => "abc",
        "HEAD_REF" => "refs/heads/main",
        "BASE_REVISION" => "0000000000000000000000000000000000000000",
        "TASKS_FOR" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn queue(status: impl Into<Answer>) -> Queue {
    let own = json!({
        "taskQueueId": "local/native", "provisionerId": "local", "workerType": "native", "schedulerId": "ours",
        "projectId": "none", "taskGroupId": decision_task(), "dependencies": [], "requires": "all-completed", "routes": [],
        "priority": "lowest", "retries": 5, "created": CREATED, "deadline": CREATED, "expires": CREATED, "scopes": [],
        "payload": {}, "tags": {}, "extra": {},
        "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
    });
    let script = ScriptedTransport::new().on("queue.task", own).on("queue.status", status);
    Queue::new(Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap())
}

fn status() -> Answer {
    let run = |id: u32, started: &str| json!({"runId": id, "state": "exception", "reasonCreated": "retry", "scheduled": started, "started": started});
    json!({"status": {
        "taskId": decision_task(), "provisionerId": "local", "workerType": "native", "taskQueueId": "local/native",
        "schedulerId": "ours", "projectId": "none", "taskGroupId": decision_task(), "priority": "lowest",
        "deadline": CREATED, "expires": CREATED, "retriesLeft": 4, "state": "running",
        "runs": [run(0, "2026-01-01T02:00:00.000Z"), run(1, "2026-01-01T03:00:00.000Z")],
    }})
    .into()
}

#[tokio::test]
async fn they_come_from_the_task_and_its_environment_and_are_the_same_in_each_run() {
    let parameters = Parameters::read(&queue(status()), variable).await.unwrap();
    assert_eq!(parameters.created.to_string(), "2026-01-01T02:00:00.000Z");
    assert_eq!((parameters.base_revision.as_ref(), parameters.tasks_for.as_ref()), (None, None));
    assert_eq!(parameters.head_ref.as_deref(), Some("refs/heads/main"));
    assert!(parameters.to_yaml().contains("\nhead_revision: \"abc\"\n"), "{}", parameters.to_yaml());
    let json = serde_json::to_string(&parameters).unwrap();
    assert_eq!(serde_json::from_str::<Parameters>(&json).unwrap(), parameters);
    let graph = parameters.graph().check().unwrap();
    assert!(graph.is_empty());
}

#[tokio::test]
async fn who_may_not_see_the_runs_takes_the_creation() {
    let forbidden = Answer::error(403, "InsufficientScopes", "no");
    let parameters = Parameters::read(&queue(forbidden), variable).await.unwrap();
    assert_eq!(parameters.created.to_string(), CREATED);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let lacking = |name: &str| (name != "HEAD_REVISION").then(|| variable(name)).flatten();
    let error = Parameters::read(&queue(status()), lacking).await.unwrap_err();
    assert!(matches!(error, ParametersError::Missing("HEAD_REVISION")), "{error}");
}
