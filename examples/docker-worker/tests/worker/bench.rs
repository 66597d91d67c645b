//! A worker, its queue, and the containers of its tasks.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_docker_worker::{DockerWorker, Options, Shutdown};
use taskcluster_worker::artifacts::ArtifactLimits;
use taskcluster_worker::events::Event;
use taskcluster_worker::plugins::BACKING_LOG;
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Identity, Settings};
use tokio::process::Command;

use crate::docker::{self, There};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// The program, which is killed when it is dropped.
pub(crate) fn program(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-worker"));
    command.arg(verb).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
    // However full the disk of this machine is.
    command.env("DOCKER_WORKER_REQUIRED_DISK_SPACE", "0");
    command
}

pub(crate) struct Bench {
    pub(crate) queue: FakeQueue,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) there: There,
    pub(crate) label: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) printed: Arc<Mutex<Vec<u8>>>,
    pub(crate) artifact_limits: ArtifactLimits,
}

impl Bench {
    /// `None`, which is said, where there is no engine.
    pub(crate) async fn new() -> Option<Self> {
        let there = docker::find().await?;
        let queue = FakeQueue::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (label, artifact_limits) = (docker::label(), ArtifactLimits::default());
        Some(Self { queue, dir, there, label, shutdown: Shutdown::new(), printed: Arc::default(), artifact_limits })
    }

    /// A task that runs a script.
    pub(crate) fn script(&self, script: &str) -> TaskId {
        self.add(json!({"command": ["/bin/sh", "-c", script]}))
    }

    pub(crate) fn add(&self, payload: Value) -> TaskId {
        self.add_with_scopes(payload, &["docker-worker:cache:*", "a:scope"])
    }

    pub(crate) fn add_with_scopes(&self, payload: Value, scopes: &[&str]) -> TaskId {
        let Value::Object(mut payload) = payload else { panic!("a payload is an object") };
        payload.entry("image").or_insert(json!(self.there.image));
        payload.entry("maxRunTime").or_insert(json!(3600));
        let mut definition = task_with_payload(&payload);
        definition["scopes"] = json!(scopes);
        self.queue.add_task(definition)
    }

    /// Run a worker until it has run one task.
    pub(crate) async fn run(&self) {
        self.run_with(1, |_| {}).await;
    }

    /// Run a worker that is put together a little differently until it has run so many tasks.
    pub(crate) async fn run_with(&self, tasks: u64, change: impl FnOnce(&mut Options)) {
        self.run_as(4, tasks, change, |_| {}).await;
    }

    /// The same with no more than `capacity` of them at once.
    pub(crate) async fn run_at_once(&self, capacity: usize, tasks: u64, change: impl FnOnce(&mut Options)) {
        self.run_as(capacity, tasks, change, |_| {}).await;
    }

    /// The same, where more of it is different.
    pub(crate) async fn run_as(
        &self,
        capacity: usize,
        tasks: u64,
        change: impl FnOnce(&mut Options),
        further: impl FnOnce(&mut DockerWorker),
    ) {
        let mut options = Options::new(&self.label);
        change(&mut options);
        let mut worker = DockerWorker::new(&self.there.host);
        worker.options = Some(options);
        further(&mut worker);
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let settings = Settings::new(self.dir.path().join("work"))
            .with_task_limit(tasks)
            .with_capacity(capacity)
            .with_artifact_limits(self.artifact_limits);
        let printed = self.printed.clone();
        let worker = worker
            .builder(self.queue.root_url(), identity, settings)
            .await
            .unwrap()
            .credentials(Credentials::new("the-worker", "the-secret-token-of-the-worker-itself"))
            .events(Arc::new(move |event| {
                if let Event::Log { chunk, .. } = event {
                    printed.lock().unwrap().extend(chunk);
                }
            }))
            .build()
            .unwrap();
        tokio::time::timeout(TIMEOUT, worker.run(self.shutdown.clone())).await.expect("the worker ends").unwrap();
        assert_eq!(docker::things_of(&self.there.host, &self.label), [""; 0], "nothing is left behind");
    }

    /// Run one task to its end; gives how it ended and its log.
    pub(crate) async fn resolve(&self, payload: Value) -> (TaskId, String, String) {
        let task_id = self.add(payload);
        self.run().await;
        (task_id, self.queue.state(&task_id), self.log(&task_id))
    }

    pub(crate) fn log(&self, task_id: &TaskId) -> String {
        self.queue.text(task_id, BACKING_LOG)
    }

    /// Make a file in the container of a task, by way of nobody's worker.
    pub(crate) fn touch(&self, task_id: &TaskId, path: &str) {
        docker::call(&self.there.host, &["exec", &format!("taskcluster-{task_id}-0"), "touch", path]);
    }

    /// Wait until a task prints this on a line.
    pub(crate) async fn line(&self, text: &str) {
        self.until(text, |printed| printed.lines().any(|line| line.trim_end() == text)).await;
    }

    /// Wait until this stands somewhere in a log.
    pub(crate) async fn text(&self, text: &str) {
        self.until(text, |printed| printed.contains(text)).await;
    }

    /// Wait until this stands so many times in the logs.
    pub(crate) async fn text_times(&self, text: &str, times: usize) {
        self.until(text, |printed| printed.matches(text).count() >= times).await;
    }

    async fn until(&self, text: &str, is_there: impl Fn(&str) -> bool) {
        let there = || is_there(&String::from_utf8_lossy(&self.printed.lock().unwrap()));
        let waiting = async {
            while !there() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("nothing prints {text}"));
    }
}
