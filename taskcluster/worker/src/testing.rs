//! For tests of workers, engines and plugins: a queue of its own, and an engine that runs nothing.

mod mock_engine;
mod queue;
#[cfg(feature = "interactive")]
mod visits;

pub use mock_engine::MockEngine;
pub use queue::{FakeArtifact, FakeQueue, Received};
#[cfg(feature = "interactive")]
pub use visits::{BRIEFLY, shells_of, visit};

use std::sync::Arc;

use crate::artifacts::{Allowance, ArtifactLimits};
use crate::context::{Parts, TaskContext};
use crate::error::Result;
use crate::identity::Identity;
use crate::log::TaskLog;
use serde_json::{Map, Value, json};
use taskcluster::queue::{Queue, TaskDefinition};
use taskcluster_core::clock::SystemClock;
use taskcluster_core::credentials::{Credentials, SharedCredentials};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use taskcluster_core::{Caller, Clock};

/// A definition with the usual values and this payload.
#[must_use]
pub fn task_with_payload(payload: &Map<String, Value>) -> Value {
    let given = json!({
        "payload": payload,
        "taskQueueId": "test/worker",
        "metadata": {
            "name": "a task",
            "description": "of a test",
            "owner": "nobody@example.com",
            "source": "https://example.com/",
        },
    });
    crate::local::complete(given).expect("nothing is missing")
}

/// A run that no queue knows, whose files are in `dir`.
///
/// # Errors
/// The definition is none, or the directory cannot be used.
pub fn run_without_queue(dir: &std::path::Path, definition: Value) -> Result<Arc<TaskContext>> {
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| crate::Error::worker_caused("cannot make up a run", error);
    let definition: TaskDefinition = serde_json::from_value(definition).map_err(|error| failed(error.into()))?;
    let clock = SystemClock::shared();
    let log = TaskLog::create(&dir.join("log"), clock.clone()).map_err(|error| failed(error.into()))?;
    let credentials = SharedCredentials::new(Credentials::new("nobody", "secret"));
    let caller = Caller::builder("http://127.0.0.1:9") // where nobody listens
        .provider(credentials.clone())
        .build()
        .map_err(|error| failed(error.into()))?;
    Ok(TaskContext::new(Parts {
        task_id: TaskId::new(),
        run_id: 0.into(),
        identity: Arc::new(Identity::new(definition.task_queue_id.clone(), "group", "worker")),
        definition,
        queue: Queue::new(caller.clone()),
        caller,
        credentials,
        log,
        clock,
        scratch: dir.to_owned(),
        object_artifacts: false,
        live_log: true,
        artifacts: Allowance::new(ArtifactLimits::default()),
        local: false,
    }))
}

/// Credentials that a test queue gives out and takes.
fn credentials_of(name: &str, scopes: &[String], until: Timestamp) -> Credentials {
    let root = Credentials::new("test/queue", "a-token-that-the-task-must-never-see-0123456789");
    root.temporary(scopes, SystemClock.now(), until, Some(name)).expect("permanent credentials issue temporary ones")
}
