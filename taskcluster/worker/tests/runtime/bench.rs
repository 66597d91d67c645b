//! A queue, and a worker with the mock engine and all plugins; a plugin that makes trouble.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use taskcluster::events::MemoryBus;
use taskcluster_core::ids::TaskId;
use taskcluster_core::{Credentials, RetryPolicy};
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::engine::{ResultSet, SandboxBuilder, SandboxHandle};
use taskcluster_worker::plugins::{
    Artifacts, BACKING_LOG, BackingLog, Env, ExitStatus, LIVE_LOG, LiveLog, MaxRunTime, Mounts, Proxy,
};
use taskcluster_worker::testing::{FakeQueue, MockEngine, task_with_payload};
use taskcluster_worker::{
    Done, Error, Event, Identity, Plugin, Result, Settings, Shutdown, TaskContext, TaskPlugin, Verdict, WhyDone, Worker,
};

use crate::oversight::Remote;

/// A queue and a worker with the mock engine and all plugins.
pub(crate) struct Bench {
    pub(crate) queue: FakeQueue,
    pub(crate) bus: Option<MemoryBus>,
    pub(crate) overseer: Mutex<Option<Remote>>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) shutdown: Shutdown,
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

impl Bench {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            queue: FakeQueue::start().await.unwrap(),
            bus: None,
            overseer: Mutex::default(),
            dir,
            events: Arc::default(),
            shutdown: Shutdown::new(),
        }
    }

    pub(crate) fn add(&self, payload: Value) -> TaskId {
        self.add_with(payload, |_| {})
    }

    pub(crate) fn add_with(&self, payload: Value, change: impl FnOnce(&mut Value)) -> TaskId {
        let Value::Object(mut payload) = payload else { panic!("a payload is an object") };
        payload.entry("maxRunTime").or_insert(json!(3600));
        let mut definition = task_with_payload(&payload);
        change(&mut definition);
        self.queue.add_task(definition)
    }

    pub(crate) async fn worker(&self, settings: impl FnOnce(&mut Settings), extra: Option<Trouble>) -> Worker {
        let mut values = Settings::new(self.dir.path());
        values.task_limit = Some(1);
        values.backoff = Duration::from_millis(10);
        values.cancel_poll = Duration::from_millis(100);
        settings(&mut values);
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let caches = CacheStore::open(self.dir.path().join("caches")).unwrap();
        let events = self.events.clone();
        let mut builder = Worker::builder(self.queue.root_url(), identity, MockEngine::default(), values)
            .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
            .retry(RetryPolicy::default().with_retries(2).with_base(Duration::from_millis(10)))
            .events(Arc::new(move |event| events.lock().unwrap().push(event)))
            .plugin(Env::default())
            .plugin(MaxRunTime::new(Duration::from_secs(7200)))
            .plugin(ExitStatus::default())
            .caches(caches.clone())
            .plugin(Mounts::new(caches, "test:cache:"))
            .plugin(Proxy::default())
            .plugin(Artifacts::default());
        if let Some(extra) = extra {
            builder = builder.plugin(extra);
        }
        if let Some(bus) = &self.bus {
            builder = builder.bus(Arc::new(bus.clone()));
        }
        if let Some(overseer) = self.overseer.lock().unwrap().take() {
            builder = builder.overseer(overseer);
        }
        let live_log = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap();
        builder.plugin(BackingLog::default()).plugin(live_log).build().unwrap()
    }

    pub(crate) async fn run_with(&self, settings: impl FnOnce(&mut Settings), extra: Option<Trouble>) -> Done {
        let worker = self.worker(settings, extra).await;
        tokio::time::timeout(TIMEOUT, worker.run(self.shutdown.clone())).await.expect("the worker ends").unwrap()
    }

    pub(crate) async fn run(&self) {
        let done = self.run_with(|_| {}, None).await;
        assert_eq!((done.runs, done.why), (1, WhyDone::TaskLimit));
    }

    /// Run one task and say how it ended.
    pub(crate) async fn resolve(&self, payload: Value) -> (TaskId, String) {
        let task_id = self.add(payload);
        self.run().await;
        (task_id, self.queue.state(&task_id))
    }

    pub(crate) fn log(&self, task_id: &TaskId) -> String {
        self.queue.text(task_id, BACKING_LOG)
    }

    /// Wait until the log of a task can be followed, which is shortly before its code starts.
    pub(crate) async fn live(&self, task_id: &TaskId) {
        self.queue.until(|queue| queue.artifact(task_id, LIVE_LOG).is_some()).await;
    }

    pub(crate) fn position(&self, part: &str) -> usize {
        let received = self.queue.received();
        received.iter().position(|request| request.line.contains(part)).unwrap_or_else(|| panic!("no {part}"))
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// A plugin that makes trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It fails in this hook.
    At(&'static str),
    /// What the task names is not there at present.
    Away,
    /// It keeps a run from going on until the queue has it as resolved.
    Stays,
}

struct TaskTrouble {
    trouble: Trouble,
    task: Arc<TaskContext>,
}

impl Plugin for Trouble {
    fn name(&self) -> &'static str {
        "trouble"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskTrouble { trouble: *self, task: task.clone() })
    }
}

impl TaskTrouble {
    fn at(&self, hook: &'static str) -> Result<()> {
        match self.trouble {
            Trouble::At(at) if at == hook => Err(Error::worker("a disk is broken")),
            Trouble::Away if hook == "build" => Err(Error::unavailable("nobody answers at a web server")),
            Trouble::At(_) | Trouble::Away | Trouble::Stays => Ok(()),
        }
    }
}

#[async_trait]
impl TaskPlugin for TaskTrouble {
    async fn build(&mut self, _builder: &mut dyn SandboxBuilder) -> Result<()> {
        self.at("build")
    }

    async fn started(&mut self, _sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        if matches!(self.trouble, Trouble::Stays) {
            let state = async || self.task.queue().status(&self.task.task_id()).await.unwrap().status.state;
            while state().await.as_str() == "running" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.at("started")
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.at("stopped").map(|()| Verdict::Good)
    }
}
