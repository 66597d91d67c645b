//! A worker with one task, in whose sandbox the test plays the programs itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use taskcluster_core::{Credentials, RetryPolicy, TaskId};
use taskcluster_worker::function::{FunctionEngine, Job, engine};
use taskcluster_worker::plugins::{Interactive, Linger, SHELL, ShellPage};
use taskcluster_worker::shell::{Shell, ShellControl, ShellRequest, Size};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{
    Engine, Error, Exit, Identity, Payload, PayloadPart, Result, ResultSet, Sandbox, SandboxBuilder, SandboxHandle,
    Settings, Shutdown, TaskContext, Worker,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// An `.await` that must not take for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

pub(crate) struct Stage {
    pub(crate) queue: FakeQueue,
    pub(crate) task_id: TaskId,
    /// What visitors have started.
    programs: mpsc::UnboundedReceiver<Program>,
    /// Lets the task's own code end.
    curtain: CancellationToken,
    working: JoinHandle<()>,
    /// Goes on listening after the run.
    _worker: Arc<Worker>,
    _dir: tempfile::TempDir,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::with(Interactive::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap()).await
    }

    /// Returns when shells can be opened.
    pub(crate) async fn with(interactive: Interactive) -> Self {
        let curtain = CancellationToken::new();
        let end = curtain.clone();
        let inner = engine("stage", move |_: Job<Nothing>| {
            let end = end.clone();
            async move {
                end.cancelled().await;
                Ok(Exit::Code(0))
            }
        });
        let (started, programs) = mpsc::unbounded_channel();
        let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
        let payload = json!({"features": {"interactive": true}});
        let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let settings = Settings::new(dir.path()).with_task_limit(1);
        let linger = Linger { from_start: Duration::ZERO, after_shell: Duration::ZERO };
        let worker = Worker::builder(queue.root_url(), identity, StageEngine { inner, started }, settings)
            .credentials(Credentials::new("the-worker", "secret"))
            .retry(RetryPolicy::never())
            .plugin(interactive.linger(linger).pages([ShellPage::DockerWorker, ShellPage::GenericWorker]))
            .build()
            .unwrap();
        let worker = Arc::new(worker);
        let works = worker.clone();
        let working = tokio::spawn(async move { works.run(Shutdown::new()).await.map(drop).unwrap() });
        let names = [SHELL, ShellPage::DockerWorker.artifact(), ShellPage::GenericWorker.artifact()];
        queue.until(|queue| names.iter().all(|name| queue.artifact(&task_id, name).is_some())).await;
        Self { queue, task_id, programs, curtain, working, _worker: worker, _dir: dir }
    }

    /// Where an artifact leads.
    pub(crate) fn leads_to(&self, artifact: &str) -> Url {
        self.queue.artifact(&self.task_id, artifact).unwrap().created["url"].as_str().unwrap().parse().unwrap()
    }

    /// What a page is told where to connect to.
    pub(crate) fn socket_url(&self, page: ShellPage) -> Url {
        let url = self.leads_to(page.artifact());
        let (_, socket) = url.query_pairs().find(|(name, _)| name == "socketUrl").unwrap();
        socket.parse().unwrap()
    }

    /// The next program that somebody starts.
    pub(crate) async fn program(&mut self) -> Program {
        soon("a program", self.programs.recv()).await.unwrap()
    }

    /// Let the task's code end, and wait until the run has.
    pub(crate) async fn end(&mut self) -> String {
        self.curtain.cancel();
        soon("the end of the worker", &mut self.working).await.unwrap();
        self.queue.state(&self.task_id)
    }
}

/// A program as the test sees it. Its end is the drop of what the worker holds of it.
pub(crate) struct Program {
    pub(crate) request: ShellRequest,
    pub(crate) stdin: DuplexStream,
    pub(crate) stdout: Option<DuplexStream>,
    pub(crate) stderr: Option<DuplexStream>,
    pub(crate) sizes: mpsc::UnboundedReceiver<Size>,
    exit: Option<oneshot::Sender<i32>>,
}

impl Program {
    pub(crate) async fn prints(&mut self, text: &[u8]) {
        soon("room for output", self.stdout.as_mut().unwrap().write_all(text)).await.unwrap();
    }

    pub(crate) async fn reads(&mut self, length: usize) -> Vec<u8> {
        let mut read = vec![0; length];
        soon("input", self.stdin.read_exact(&mut read)).await.unwrap();
        read
    }

    /// End with this code, and with what was printed.
    pub(crate) fn exits(&mut self, code: i32) {
        (self.stdout, self.stderr) = (None, None);
        self.exit.take().unwrap().send(code).unwrap();
    }

    /// Wait until the worker has let go of it.
    pub(crate) async fn is_ended(&mut self) {
        soon("the end of the program", self.exit.as_mut().unwrap().closed()).await;
    }

    /// Print without end, as fast as it is taken.
    pub(crate) fn floods(&mut self) -> Flood {
        let mut stdout = self.stdout.take().unwrap();
        Flood::of(|count| async move {
            let piece: Vec<u8> = (0..1000).map(Flood::byte).collect();
            while stdout.write_all(&piece).await.is_ok() {
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        })
    }
}

/// What is said without end, until this is dropped.
pub(crate) struct Flood {
    count: Arc<AtomicUsize>,
    _flooding: AbortOnDropHandle<()>,
}

impl Flood {
    /// Somebody counts what was taken.
    pub(crate) fn of<F: Future<Output = ()> + Send + 'static>(flooding: impl FnOnce(Arc<AtomicUsize>) -> F) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let flooding = AbortOnDropHandle::new(tokio::spawn(flooding(count.clone())));
        Self { count, _flooding: flooding }
    }

    /// How many bytes were taken.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Byte number `at`.
    pub(crate) fn byte(at: usize) -> u8 {
        b'a' + (at % 1000 % 26) as u8
    }
}

#[derive(Debug)]
struct StageEngine {
    inner: FunctionEngine<Nothing>,
    started: mpsc::UnboundedSender<Program>,
}

#[async_trait]
impl Engine for StageEngine {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn payload(&self) -> PayloadPart {
        self.inner.payload()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let inner = self.inner.prepare(task, payload).await?;
        Ok(Box::new(Furnished { inner, started: self.started.clone() }))
    }
}

#[derive(Debug)]
struct Furnished {
    inner: Box<dyn SandboxBuilder>,
    started: mpsc::UnboundedSender<Program>,
}

#[async_trait]
impl SandboxBuilder for Furnished {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.inner.set_env(name, value)
    }

    async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        let inner = self.inner.start().await?;
        let handle = Arc::new(Handle { inner: inner.handle(), started: self.started });
        Ok(Box::new(Running { inner, handle }))
    }

    async fn discard(self: Box<Self>) {
        self.inner.discard().await;
    }
}

#[derive(Debug)]
struct Running {
    inner: Box<dyn Sandbox>,
    handle: Arc<Handle>,
}

#[async_trait]
impl Sandbox for Running {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        self.handle.clone()
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        self.inner.wait().await
    }
}

#[derive(Debug)]
struct Handle {
    inner: Arc<dyn SandboxHandle>,
    started: mpsc::UnboundedSender<Program>,
}

#[async_trait]
impl SandboxHandle for Handle {
    async fn kill(&self) {
        self.inner.kill().await;
    }

    async fn open_shell(&self, request: &ShellRequest) -> Result<Shell> {
        if request.command.first().is_some_and(|program| program == "missing") {
            return Err(Error::task("missing: there is no such program"));
        }
        // Small, so that what is not taken from a program is seen by it.
        let ((into, stdin), (stdout, out)) = (duplex(1000), duplex(1000));
        let ((sized, sizes), (exit, exited)) = (mpsc::unbounded_channel(), oneshot::channel());
        let shell = Shell::new(into, out, Control { sized, exited, code: None });
        let (shell, stderr) = match request.terminal {
            Some(_) => (shell, None),
            None => {
                let (stderr, side) = duplex(1000);
                (shell.with_stderr(side), Some(stderr))
            }
        };
        let program =
            Program { request: request.clone(), stdin, stdout: Some(stdout), stderr, sizes, exit: Some(exit) };
        self.started.send(program).unwrap();
        Ok(shell)
    }
}

struct Control {
    sized: mpsc::UnboundedSender<Size>,
    exited: oneshot::Receiver<i32>,
    code: Option<i32>,
}

#[async_trait]
impl ShellControl for Control {
    async fn wait(&mut self) -> Result<i32> {
        if self.code.is_none() {
            let code = (&mut self.exited).await;
            self.code = Some(code.map_err(|error| Error::worker_caused("the program is lost", error))?);
        }
        Ok(self.code.unwrap_or_default())
    }

    fn resize(&mut self, size: Size) {
        let _ = self.sized.send(size);
    }
}
