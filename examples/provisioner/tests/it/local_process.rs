//! Local processes keep the contract of providers.

use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::Value;
use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider};
use taskcluster_provisioner::provider::contract::{self, Subject};
use taskcluster_provisioner::provider::local_process::LocalProcess;
use taskcluster_provisioner::provider::{Provider, Sighting};
use taskcluster_provisioner::worker_type::Definition;

struct Processes(tempfile::TempDir);

fn definition(command: &[&str]) -> Definition {
    let provider = LocalProcessProvider::new(command.iter().copied());
    Definition::new(CreateWorkerTypeRequest::new("", "", 1, 0.0, provider))
}

fn provider(folder: PathBuf) -> Box<dyn Provider> {
    Box::new(LocalProcess::new(folder, [("shell".to_owned(), PathBuf::from("/bin/sh"))]))
}

#[async_trait]
impl Subject for Processes {
    async fn provider(&self) -> Box<dyn Provider> {
        provider(self.0.path().join("own"))
    }

    async fn stranger(&self) -> Box<dyn Provider> {
        provider(self.0.path().join("stranger"))
    }

    fn lasting(&self) -> Definition {
        // It says what it was told before it goes on for ever.
        definition(&[
            "shell",
            "-c",
            r#"printf %s "$TASKCLUSTER_USER_DATA" >told.new; mv told.new was-told; while :; do sleep 0.1; done"#,
        ])
    }

    fn passing(&self) -> Option<Definition> {
        Some(definition(&["shell", "-c", "echo that is all; exit 3"]))
    }

    fn useless(&self) -> Definition {
        definition(&["/bin/sh", "-c", "true"])
    }

    async fn told(&self, sighting: &Sighting) -> Option<Value> {
        let file = self.0.path().join("own").join(&sighting.instance_id).join("was-told");
        loop {
            match tokio::fs::read(&file).await {
                Ok(told) => return Some(serde_json::from_slice(&told).unwrap()),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    }
}

#[tokio::test]
async fn local_processes_keep_the_contract() {
    contract::check(&Processes(tempfile::tempdir().unwrap())).await;
}
