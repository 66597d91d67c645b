//! `createTask`.

use harness::{Backend, Deployment, Options, soon, task};
use taskcluster::{ErrorCode, TaskId, object};

#[tokio::test]
async fn a_created_task_is_pending_and_reads_as_it_was_written() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let mut definition = task(root.now());
        definition.payload = object! { "text": "ü \u{0} \"", "number": 1.5, "null": null, "b": 1, "a": 2 };
        let task_id = root.create(&definition).await;

        let read = soon(root.queue().task(&task_id).into_future()).await.unwrap();
        assert_eq!(read.payload, definition.payload);
        assert_eq!((read.created, read.deadline), (definition.created, definition.deadline));
        assert_eq!(read.task_group_id, task_id);
        let status = root.status(&task_id).await;
        assert_eq!((status.state.as_str(), status.runs.len()), ("pending", 1));
        deployment.stop().await;
    }
}

#[tokio::test]
async fn creating_again_changes_nothing_and_another_definition_conflicts() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let (task_id, definition) = (TaskId::new(), task(root.now()));
        let first = soon(root.queue().create_task(&task_id, &definition).into_future()).await.unwrap();
        let second = soon(root.queue().create_task(&task_id, &definition).into_future()).await.unwrap();
        assert_eq!(first, second);
        let mut other = definition.clone();
        other.payload = object! { "other": true };
        let conflict = soon(root.queue().create_task(&task_id, &other).into_future()).await.unwrap_err();
        assert!(conflict.is_conflict(), "{conflict}");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn who_lacks_a_scope_is_told_which() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let definition = task(deployment.root().now());
        let anonymous = deployment.anonymous();
        let refused = soon(anonymous.queue().create_task(&TaskId::new(), &definition).into_future()).await.unwrap_err();
        assert_eq!(refused.code(), Some(&ErrorCode::InsufficientScopes), "{refused}");
        assert!(refused.to_string().contains("queue:create-task:"), "{refused}");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn what_breaks_the_schema_is_refused_before_anything_happens() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let task_id = TaskId::new();
        let mut definition = task(root.now());
        definition.metadata.owner = "not an address".repeat(100);
        let refused = soon(root.queue().create_task(&task_id, &definition).into_future()).await.unwrap_err();
        assert_eq!(refused.code(), Some(&ErrorCode::InputValidationError), "{refused}");
        assert!(soon(root.queue().status(&task_id).into_future()).await.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}
