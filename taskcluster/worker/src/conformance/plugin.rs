//! The contract of plugins, as checks that run against any of them: whole workers with the mock engine and a queue for tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use taskcluster_core::ids::TaskId;
use taskcluster_core::{Credentials, RetryPolicy};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::within;
use crate::events::{Event, EventSink};
use crate::identity::Identity;
use crate::shutdown::Shutdown;
use crate::testing::{FakeQueue, MockEngine, task_with_payload};
use crate::worker::{Settings, Worker, WorkerBuilder};

/// A plugin, and how a payload speaks to it.
pub trait PluginSubject: Send + Sync {
    /// Adds it to a worker, with what it needs beside it. It may keep files below `work_dir`, a folder of this worker's.
    fn add_to(&self, worker: WorkerBuilder, work_dir: &Path) -> WorkerBuilder;

    /// Its part of a payload that makes use of it.
    fn used(&self) -> Map<String, Value>;

    /// Its part of a payload of a task that wants nothing of it: empty, unless it asks every task for something.
    fn unused(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Parts that fit no schema of it, or that it refuses when it prepares: none, unless it reads something.
    fn refused(&self) -> Vec<Map<String, Value>> {
        Vec::new()
    }
}

/// Run all checks.
///
/// # Panics
/// With the first check that the plugin does not pass.
pub async fn check_plugin(subject: &dyn PluginSubject) {
    let bench = Bench { subject };
    within("leaves alone who wants nothing of it", bench.leaves_others_alone()).await;
    within("serves who makes use of it", bench.serves()).await;
    within("does not turn failure into success", bench.keeps_failures()).await;
    within("refuses before anything runs", bench.refuses()).await;
    within("bears a task that the engine refuses", bench.bears_a_refused_task()).await;
    within("serves several at once", bench.serves_several_at_once()).await;
    within("lets go of a cancelled task", bench.lets_go_when_cancelled()).await;
    within("lets go when the worker stops", bench.lets_go_when_stopped()).await;
}

struct Bench<'a> {
    subject: &'a dyn PluginSubject,
}

/// A worker that runs until it has seen its tasks, and its queue.
struct Trial {
    queue: FakeQueue,
    dir: tempfile::TempDir,
    shutdown: Shutdown,
    /// Told whenever the user's code begins.
    started: Arc<Notify>,
    running: AbortOnDropHandle<()>,
}

impl Trial {
    fn add(&self, mut part: Map<String, Value>, acts: Value) -> TaskId {
        part.insert("mock".to_owned(), acts);
        self.queue.add_task(task_with_payload(&part))
    }

    /// Waits for the worker's end: it has let go of everything then.
    async fn end(self) {
        self.running.await.expect("the worker does not panic");
        let left: Vec<_> = std::fs::read_dir(self.dir.path().join("runs")).into_iter().flatten().collect();
        assert!(left.is_empty(), "what runs have left: {left:?}");
    }
}

impl Bench<'_> {
    async fn worker(&self, tasks: u64) -> Trial {
        let queue = FakeQueue::start().await.expect("a port for the test");
        let dir = tempfile::tempdir().expect("a directory for the test");
        let mut settings = Settings::new(dir.path());
        settings.capacity = 2;
        settings.task_limit = Some(tasks);
        settings.cancel_poll = Duration::from_millis(100);
        let identity = Identity::new("test/worker".parse().expect("two names"), "group", "worker");
        let worker = Worker::builder(queue.root_url(), identity, MockEngine::default(), settings)
            .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
            .retry(RetryPolicy::default().with_base(Duration::from_millis(10)));
        let started = Arc::new(Notify::new());
        let worker = worker.events(tell_of_starts(Arc::clone(&started)));
        let worker = self.subject.add_to(worker, dir.path()).build().expect("the plugin fits the mock engine");
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move {
            worker.run(stop).await.expect("the worker works");
        });
        Trial { queue, dir, shutdown, started, running: AbortOnDropHandle::new(running) }
    }

    /// How a task ends that does this.
    async fn state(&self, part: Map<String, Value>, acts: Value) -> String {
        let trial = self.worker(1).await;
        let state = trial.queue.resolved(&trial.add(part, acts)).await;
        trial.end().await;
        state
    }

    async fn leaves_others_alone(&self) {
        assert_eq!(self.state(self.subject.unused(), json!([{"print": "hello"}])).await, "completed");
    }

    async fn serves(&self) {
        assert_eq!(self.state(self.subject.used(), json!([{"print": "hello"}])).await, "completed");
    }

    async fn keeps_failures(&self) {
        assert_eq!(self.state(self.subject.unused(), json!([{"exit": 1}])).await, "failed");
        assert_ne!(self.state(self.subject.used(), json!([{"exit": 1}])).await, "completed");
    }

    async fn refuses(&self) {
        for part in self.subject.refused() {
            // A task that ran would never end.
            let state = self.state(part.clone(), json!([{"forever": "it runs"}])).await;
            assert_eq!(state, "exception malformed-payload", "{part:?}");
        }
    }

    async fn bears_a_refused_task(&self) {
        let state = self.state(self.subject.used(), json!("what no engine knows")).await;
        assert_eq!(state, "exception malformed-payload");
    }

    async fn serves_several_at_once(&self) {
        let trial = self.worker(4).await;
        let tasks: Vec<TaskId> = (0..4).map(|_| trial.add(self.subject.used(), json!([{"print": "hello"}]))).collect();
        for task_id in tasks {
            assert_eq!(trial.queue.resolved(&task_id).await, "completed");
        }
        trial.end().await;
    }

    async fn lets_go_when_cancelled(&self) {
        let trial = self.worker(1).await;
        let task_id = trial.add(self.subject.used(), json!([{"forever": "it runs"}]));
        trial.started.notified().await;
        trial.queue.cancel(&task_id);
        trial.end().await;
    }

    async fn lets_go_when_stopped(&self) {
        let trial = self.worker(1).await;
        let task_id = trial.add(self.subject.used(), json!([{"forever": "it runs"}]));
        trial.started.notified().await;
        trial.shutdown.now();
        assert_eq!(trial.queue.resolved(&task_id).await, "exception worker-shutdown");
        trial.end().await;
    }
}

fn tell_of_starts(started: Arc<Notify>) -> EventSink {
    Arc::new(move |event| {
        if matches!(event, Event::Started { .. }) {
            started.notify_one();
        }
    })
}
