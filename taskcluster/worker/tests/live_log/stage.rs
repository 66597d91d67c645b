//! A worker with one task whose log the test writes itself.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::{Credentials, RetryPolicy, TaskId};
use taskcluster_worker::function::{Job, engine};
use taskcluster_worker::log::TaskLog;
use taskcluster_worker::plugins::{BACKING_LOG, BackingLog, LIVE_LOG, LiveLog};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Exit, Identity, Settings, Shutdown, Worker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Stage {
    pub(crate) queue: FakeQueue,
    pub(crate) task_id: TaskId,
    /// The log of the one run.
    pub(crate) log: TaskLog,
    /// Where it is read.
    pub(crate) url: Url,
    /// Lets the run end.
    curtain: CancellationToken,
    working: JoinHandle<()>,
    /// Goes on serving what it serves after the run.
    _worker: Arc<Worker>,
    _dir: tempfile::TempDir,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Stage {
    pub(crate) async fn set() -> Self {
        let live_log = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap();
        Self::with(live_log, BackingLog::default()).await
    }

    /// Returns when the run has begun.
    pub(crate) async fn with(live_log: LiveLog, backing: BackingLog) -> Self {
        Self::by_clock(SystemClock::shared(), live_log, backing).await
    }

    /// The same, by a clock of the test's own.
    pub(crate) async fn by_clock(clock: SharedClock, live_log: LiveLog, backing: BackingLog) -> Self {
        let (begun, mut runs) = mpsc::unbounded_channel();
        let curtain = CancellationToken::new();
        let end = curtain.clone();
        let engine = engine("stage", move |job: Job<Nothing>| {
            let end = end.clone();
            begun.send(job.task.log().clone()).unwrap();
            async move {
                end.cancelled().await;
                Ok(Exit::Code(0))
            }
        });
        let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
        let task_id = queue.add_task(task_with_payload(json!({}).as_object().unwrap()));
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let settings = Settings::new(dir.path()).with_task_limit(1);
        let worker = Worker::builder(queue.root_url(), identity, engine, settings)
            .credentials(Credentials::new("the-worker", "secret"))
            .retry(RetryPolicy::never())
            .clock(clock)
            .plugin(backing)
            .plugin(live_log)
            .build()
            .unwrap();
        let worker = Arc::new(worker);
        let works = worker.clone();
        let working = tokio::spawn(async move { works.run(Shutdown::new()).await.map(drop).unwrap() });
        let log = tokio::time::timeout(TIMEOUT, runs.recv()).await.expect("the run begins").unwrap();
        let url = queue.artifact(&task_id, LIVE_LOG).unwrap().created["url"].as_str().unwrap().parse().unwrap();
        Self { queue, task_id, log, url, curtain, working, _worker: worker, _dir: dir }
    }

    /// Let the run end and wait until it has.
    pub(crate) async fn end(&mut self) {
        self.curtain.cancel();
        tokio::time::timeout(TIMEOUT, &mut self.working).await.expect("the worker ends").unwrap();
        assert_eq!(self.queue.state(&self.task_id), "completed");
    }

    /// The log that was kept.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.queue.content(&self.task_id, BACKING_LOG)
    }

    /// Begin to read the log.
    pub(crate) async fn ask(&self, method: &str, headers: &str) -> Reader<TcpStream> {
        let address = (self.url.host_str().unwrap(), self.url.port().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        Reader::ask(stream, method, self.url.path(), headers).await
    }
}

/// An answer that is read as slowly as the test likes.
pub(crate) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// By HTTP/1.0, whose answers have no chunks and end with the connection.
    pub(crate) async fn ask(mut stream: S, method: &str, path: &str, headers: &str) -> Self {
        let request = format!("{method} {path} HTTP/1.0\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// The head of the answer, in small letters.
    pub(crate) async fn head(&mut self) -> String {
        let head = self.through(b"\r\n\r\n").await;
        String::from_utf8(head).unwrap().to_lowercase()
    }

    /// What comes until, and with, these bytes.
    pub(crate) async fn through(&mut self, wanted: &[u8]) -> Vec<u8> {
        let mut searched = 0;
        loop {
            let new = &self.buffer[searched..];
            if let Some(at) = new.windows(wanted.len()).position(|window| window == wanted) {
                let rest = self.buffer.split_off(searched + at + wanted.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            searched = self.buffer.len().saturating_sub(wanted.len());
            let read = tokio::time::timeout(TIMEOUT, self.stream.read_buf(&mut self.buffer)).await;
            assert!(read.expect("something comes").unwrap() > 0, "it ended: {}", self.buffer.escape_ascii());
        }
    }

    /// All that comes until the end.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let read = tokio::time::timeout(TIMEOUT, self.stream.read_to_end(&mut self.buffer)).await;
        read.expect("it ends").unwrap();
        self.buffer
    }
}
