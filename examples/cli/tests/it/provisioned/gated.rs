//! Tasks that wait for a gate, so that a test can say what happens while they run, and what is told of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use taskcluster::Taskcluster;
use taskcluster::provisioner::{CreateWorkerTypeRequest, WorkerInstance};
use taskcluster_core::ids::{RunId, TaskId};

use crate::deployment::Up;
use crate::fixture::PATIENCE;
use crate::task::definition;

/// The most workers that there may be.
pub(super) const MOST: usize = 4;

/// How many tasks there are.
pub(super) const TASKS: usize = 40;

/// A folder in which there is a file once tasks may end.
#[derive(Debug)]
pub(super) struct Gate(PathBuf);

impl Gate {
    /// A closed one.
    pub(super) fn closed(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn open(&self) {
        std::fs::write(self.0.join("open"), "").unwrap();
    }
}

/// A task that is being done.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) task_id: TaskId,
    pub(super) run_id: RunId,
    /// The instance that does it.
    pub(super) worker_id: String,
}

/// A worker type of a deployment, and its tasks.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) tc: Taskcluster,
    worker_type: &'static str,
    tasks: Vec<TaskId>,
}

impl Gated {
    /// Defines the worker type, which has workers of this provider.
    pub(super) async fn define(up: &Up, worker_type: &'static str, provider: serde_json::Value) -> Self {
        let tc = Taskcluster::from(up.caller());
        let definition = json!({
            "description": "for the test", "owner": "me@example.com", "minCapacity": 0, "maxCapacity": MOST, "scalingRatio": 0,
            "lifecycle": {"idleTime": 2}, "provider": provider,
        });
        let definition: CreateWorkerTypeRequest = serde_json::from_value(definition).unwrap();
        tc.provisioner().create_worker_type(worker_type, &definition).await.unwrap();
        Self { tc, worker_type, tasks: Vec::new() }
    }

    /// The same after a restart of its deployment.
    pub(super) fn again(self, up: &Up) -> Self {
        Self { tc: Taskcluster::from(up.caller()), ..self }
    }

    fn queue(&self) -> String {
        format!("local/{}", self.worker_type)
    }

    /// Creates tasks that go on until the gate is open, which they see in this folder.
    pub(super) async fn create(&mut self, number: usize, gate: &str) {
        let script = format!("until [ -e {gate}/open ]; do sleep 0.1; done");
        for _ in 0..number {
            let (task_id, mut task) = (TaskId::new(), definition(&self.queue()));
            task.payload =
                serde_json::from_value(json!({"command": [["/bin/sh", "-c", &script]], "maxRunTime": 600})).unwrap();
            self.tc.queue().create_task(&task_id, &task).await.unwrap();
            self.tasks.push(task_id);
        }
    }

    /// Waits until so many tasks are being done at the same time.
    pub(super) async fn held(&self, number: usize) -> Vec<Held> {
        until(|| async {
            let claimed = self.tc.queue().list_claimed_tasks(&self.queue()).all().await.unwrap();
            (claimed.len() == number).then_some(claimed)
        })
        .await
        .into_iter()
        .map(|task| Held { task_id: task.task_id, run_id: task.run_id, worker_id: task.worker_id })
        .collect()
    }

    /// Waits until a run has ended, and says for which reason: not when its claim is over.
    pub(super) async fn reason(&self, held: &Held) -> String {
        until(|| async {
            let status = self.tc.queue().status(&held.task_id).await.unwrap().status;
            let run = status.runs.into_iter().find(|run| run.run_id == held.run_id).unwrap();
            run.reason_resolved.map(|reason| reason.as_str().to_owned())
        })
        .await
    }

    /// Waits until all tasks are completed, and says why runs before the last one have ended.
    pub(super) async fn completed(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for task_id in &self.tasks {
            let status = until(|| async {
                let status = self.tc.queue().status(task_id).await.unwrap().status;
                (!matches!(status.state.as_str(), "pending" | "running")).then_some(status)
            })
            .await;
            let mut ends: Vec<String> = status
                .runs
                .iter()
                .map(|run| run.reason_resolved.as_ref().map_or("none", |reason| reason.as_str()).to_owned())
                .collect();
            assert_eq!(ends.pop().as_deref(), Some("completed"), "{task_id}: {status:?}");
            reasons.extend(ends);
        }
        reasons
    }

    /// The instances that the provisioner knows.
    pub(super) async fn instances(&self) -> Vec<WorkerInstance> {
        self.tc.provisioner().state(self.worker_type).all().await.unwrap()
    }

    /// Waits until the provisioner knows of none.
    pub(super) async fn forsaken(&self) {
        until(|| async { self.instances().await.is_empty().then_some(()) }).await;
    }
}

/// Asks again and again until there is an answer.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes to be")
}
