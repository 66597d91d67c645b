//! A run that begins before the tunnel is open.

use std::sync::Arc;

use serde_json::{Value, json};
use taskcluster_core::time::hours;
use taskcluster_core::{Credentials, RetryPolicy, TaskId};
use taskcluster_worker::function::{Job, engine};
use taskcluster_worker::plugins::{BACKING_LOG, BackingLog, Entrance, Interactive, LIVE_LOG, Linger, LiveLog, SHELL};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Exit, Identity, Plugin, Settings, Shutdown, Worker};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::server::{Server, data, soon};

/// A worker with a run that is under way.
struct Stage {
    queue: FakeQueue,
    task_id: TaskId,
    curtain: CancellationToken,
    working: JoinHandle<()>,
    _worker: Arc<Worker>,
    _dir: tempfile::TempDir,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Stage {
    /// Returns when the run has begun.
    async fn with(plugin: impl Plugin, payload: Value) -> Self {
        let (begun, mut runs) = mpsc::unbounded_channel();
        let curtain = CancellationToken::new();
        let end = curtain.clone();
        let engine = engine("stage", move |_: Job<Nothing>| {
            let end = end.clone();
            begun.send(()).unwrap();
            async move {
                end.cancelled().await;
                Ok(Exit::Code(0))
            }
        });
        let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
        let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let worker = Worker::builder(queue.root_url(), identity, engine, Settings::new(dir.path()).with_task_limit(1))
            .credentials(Credentials::new("the-worker", "secret"))
            .retry(RetryPolicy::never())
            .plugin(BackingLog::default())
            .plugin(plugin)
            .build()
            .unwrap();
        let worker = Arc::new(worker);
        let works = worker.clone();
        let working = tokio::spawn(async move { works.run(Shutdown::new()).await.map(drop).unwrap() });
        soon(runs.recv()).await.unwrap();
        Self { queue, task_id, curtain, working, _worker: worker, _dir: dir }
    }

    fn artifact(&self, name: &str) -> Option<Value> {
        self.queue.artifact(&self.task_id, name).map(|artifact| artifact.created)
    }

    /// Where an artifact leads, once it is there.
    async fn leads_to(&self, name: &str) -> String {
        self.queue.until(|_| self.artifact(name).is_some()).await;
        let artifact = self.artifact(name).unwrap();
        assert_eq!(artifact["storageType"], "reference");
        artifact["url"].as_str().unwrap().to_owned()
    }

    async fn end(self) -> FakeQueue {
        self.curtain.cancel();
        soon(self.working).await.unwrap();
        assert_eq!(self.queue.state(&self.task_id), "completed");
        self.queue
    }
}

/// A worker's start waits some seconds for the tunnel; here they pass at once.
async fn impatiently<T>(start: impl Future<Output = T>) -> T {
    tokio::time::pause();
    let started = start.await;
    tokio::time::resume();
    started
}

#[tokio::test]
async fn has_a_live_log_as_soon_as_it_is() {
    let server = Server::start().await;
    let (tunnel, _asked) = server.tunnel(hours(1));
    let live_log = impatiently(LiveLog::at(Entrance::through(tunnel))).await.unwrap();
    let stage = Stage::with(live_log, json!({})).await;
    assert_eq!(stage.artifact(LIVE_LOG), None);

    let mut raw = server.accept("http://tunnel.example/x").await;
    let url = stage.leads_to(LIVE_LOG).await;
    let path = url.strip_prefix("http://tunnel.example/x").unwrap();
    raw.say([1, 0, 0, 0, 0]).await;
    assert_eq!(raw.hear().await[..5], [2, 0, 0, 0, 0]);
    raw.say(data(0, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())).await;
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("Task Starting") {
        let frame = raw.hear().await;
        if frame[0] == 0 {
            read.extend_from_slice(&frame[5..]);
        }
    }
    let task_id = stage.task_id;
    let queue = stage.end().await;
    let artifact = queue.artifact(&task_id, LIVE_LOG).unwrap().created;
    assert_eq!((&artifact["storageType"], &artifact["artifact"]), (&json!("link"), &json!(BACKING_LOG)));
}

#[tokio::test]
async fn has_its_log_at_the_end_if_it_never_is() {
    let server = Server::start().await;
    let (tunnel, _asked) = server.tunnel(hours(1));
    let live_log = impatiently(LiveLog::at(Entrance::through(tunnel))).await.unwrap();
    let stage = Stage::with(live_log, json!({})).await;
    let task_id = stage.task_id;
    let queue = stage.end().await;
    assert_eq!(queue.artifact(&task_id, LIVE_LOG).unwrap().created["storageType"], "link");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("Task Ends: completed") && !log.contains("cannot be read"), "{log}");
}

#[tokio::test]
async fn has_shells_as_soon_as_it_is() {
    let server = Server::start().await;
    let (tunnel, _asked) = server.tunnel(hours(1));
    let interactive = impatiently(Interactive::at(Entrance::through(tunnel))).await.unwrap();
    let linger = Linger { from_start: std::time::Duration::ZERO, after_shell: std::time::Duration::ZERO };
    let stage = Stage::with(interactive.linger(linger), json!({"features": {"interactive": true}})).await;
    assert_eq!(stage.artifact(SHELL), None);
    let _raw = server.accept("http://tunnel.example/x").await;
    let url = stage.leads_to(SHELL).await;
    assert!(url.starts_with("http://tunnel.example/x/shell/"), "{url}");
    stage.end().await;
}
