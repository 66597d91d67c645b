//! Whatever is dropped in the middle takes what it had with the engine along.

use std::time::Duration;

use serde_json::json;
use taskcluster_docker_worker::{DockerEngine, Options};
use taskcluster_worker::testing::{run_without_queue, task_with_payload};
use taskcluster_worker::{Engine, PayloadSchema, SandboxBuilder};

use crate::bench::TIMEOUT;
use crate::docker::{self, There, things_of};

/// A builder with a network of its own.
async fn builder(there: &There, label: &str, dir: &tempfile::TempDir) -> Box<dyn SandboxBuilder> {
    let engine = DockerEngine::connect(&there.host, Options::new(label)).await.unwrap();
    let payload = json!({"image": there.image, "command": ["/bin/sh", "-c", "sleep 1000"]});
    let payload = payload.as_object().unwrap();
    let task = run_without_queue(dir.path(), task_with_payload(payload)).unwrap();
    let schema = PayloadSchema::compose([(engine.name(), engine.payload())]).unwrap();
    let mut builder = engine.prepare(&task, &schema.validate(payload).unwrap()).await.unwrap();
    builder.open_door("somebody").await.unwrap();
    builder
}

async fn nothing_is_left(there: &There, label: &str) {
    let gone = async {
        while !things_of(&there.host, label).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.expect("nothing is left with the engine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_takes_its_network_along() {
    let Some(there) = docker::find().await else { return };
    let (label, dir) = (docker::label(), tempfile::tempdir().unwrap());
    let builder = builder(&there, &label, &dir).await;
    assert_eq!(things_of(&there.host, &label).len(), 1, "a network");
    drop(builder);
    nothing_is_left(&there, &label).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_takes_its_container_and_network_along() {
    let Some(there) = docker::find().await else { return };
    let (label, dir) = (docker::label(), tempfile::tempdir().unwrap());
    let sandbox = builder(&there, &label, &dir).await.start().await.unwrap();
    assert_eq!(things_of(&there.host, &label).len(), 2, "a container and its network");
    drop(sandbox);
    nothing_is_left(&there, &label).await;
}
