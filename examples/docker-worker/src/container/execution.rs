//! The command of a container, until it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use taskcluster_worker::TaskContext;
use taskcluster_worker::engine::{Exit, ResultSet, Sandbox, SandboxHandle};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellRequest};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Home;
use crate::docker::{Docker, Stream};
use crate::results::ContainerResults;
use crate::shell;
use crate::stay::Stay;

/// A container whose command runs.
#[derive(Debug)]
pub(super) struct ContainerSandbox {
    pub(super) execution: Execution,
    pub(super) control: Arc<Control>,
}

#[async_trait]
impl Sandbox for ContainerSandbox {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        self.control.clone()
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        Ok(Box::new(self.execution.run().await?))
    }
}

/// Reaches a container that runs.
#[derive(Debug)]
pub(super) struct Control {
    docker: Docker,
    container: String,
    kill: CancellationToken,
    /// Nothing may be started any more.
    over: AtomicBool,
    runtime: tokio::runtime::Handle,
}

impl Control {
    pub(super) fn of(docker: &Docker, container: &str) -> Arc<Self> {
        Arc::new(Self {
            docker: docker.clone(),
            container: container.to_owned(),
            kill: CancellationToken::new(),
            over: AtomicBool::new(false),
            runtime: tokio::runtime::Handle::current(),
        })
    }
}

/// How long Docker may take to say how much memory a container holds: it is asked when memory is short, and everything slow.
const TELL_MEMORY: Duration = Duration::from_secs(3);

#[async_trait]
impl SandboxHandle for Control {
    async fn kill(&self) {
        self.kill.cancel();
    }

    fn memory(&self) -> Option<u64> {
        let asking = async { tokio::time::timeout(TELL_MEMORY, self.docker.memory(&self.container)).await };
        self.runtime.block_on(asking).ok().flatten()
    }

    async fn open_shell(&self, request: &ShellRequest) -> Result<Shell> {
        if self.kill.is_cancelled() || self.over.load(Ordering::SeqCst) {
            return Err(Error::task("the task is over"));
        }
        shell::open(&self.docker, &self.container, request).await
    }
}

/// The command under way.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) docker: Docker,
    pub(super) task: Arc<TaskContext>,
    pub(super) home: Home,
    pub(super) output: Option<Stream>,
    pub(super) not_started: Option<String>,
    pub(super) stay: Option<Stay>,
    pub(super) idle: bool,
    /// The most memory that it may take, in bytes.
    pub(super) memory: Option<u64>,
    pub(super) control: Arc<Control>,
}

/// How long a command has to end politely, so that a run which is cancelled ends within two seconds, one of which may pass before the
/// worker knows.
const GRACE: Duration = Duration::from_millis(500);

/// How long the engine may take to ask a command to end that is not the container's first process.
const TERMINATE: Duration = Duration::from_millis(300);

/// How long output may take to be read once the container has ended.
const DRAIN: Duration = Duration::from_secs(10);

impl Execution {
    async fn run(mut self) -> Result<ContainerResults> {
        if let Some(reason) = self.not_started.take() {
            return Ok(self.results(Exit::NotStarted(reason)));
        }
        let copying = self.output.take().map(|output| {
            let task = self.task.clone();
            #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
            AbortOnDropHandle::new(tokio::spawn(async move { copy(output, &task).await }))
        });
        let id = self.home.container.clone();
        let control = self.control.clone();
        let began = Instant::now();
        let staying = async {
            match &mut self.stay {
                Some(stay) => stay.attend(&self.task, !self.idle).await,
                None => std::future::pending().await,
            }
        };
        let code = tokio::select! {
            code = self.docker.ended(&id) => Some(code?),
            () = control.kill.cancelled() => None,
            never = staying => match never {},
        };
        let exit = match code {
            Some(code) => Exit::Code(code),
            None => {
                self.end(&id).await?;
                Exit::Killed
            }
        };
        let ended = began.elapsed();
        control.over.store(true, Ordering::SeqCst);
        if let Some(copying) = copying
            && tokio::time::timeout(DRAIN, copying).await.is_err()
        {
            self.task.log().warn("the end of the output is lost: Docker does not give it");
        }
        let ran_out = self.docker.ran_out_of_memory(&id).await;
        let exit = self.judge(exit, ran_out)?;
        if let Some(code) = exit.code() {
            self.task.log().info(format!("exit code {code} after {:.1} s", ended.as_secs_f64()));
        }
        Ok(self.results(exit))
    }

    /// A container that ran out of memory has failed, also where only a part of it was ended for that and the rest went on.
    fn judge(&self, exit: Exit, ran_out: Result<bool>) -> Result<Exit> {
        match exit {
            Exit::Code(code) => {
                Ok(if ran_out? { Exit::OutOfMemory { code, limit: self.memory } } else { Exit::Code(code) })
            }
            // It may have hung just because of that, which is worth a line, but nothing to give up for.
            Exit::Killed if ran_out.unwrap_or(false) => {
                let before = Exit::OutOfMemory { code: 137, limit: self.memory };
                self.task.log().error(format!("before it was ended: {before}"));
                Ok(Exit::Killed)
            }
            exit => Ok(exit),
        }
    }

    /// End the container, politely at first. What keeps it is its first process, which passes nothing on to the command.
    async fn end(&mut self, id: &str) -> Result<()> {
        if let Some(stay) = &mut self.stay {
            stay.let_go().await;
            if let Ok(Err(error)) = tokio::time::timeout(TERMINATE, self.docker.terminate(id)).await {
                tracing::debug!(error = error.reasons().join("; "), "a command is not asked to end");
            }
        }
        self.docker.stop(id, self.home.image.stop_signal.as_deref(), GRACE).await
    }

    fn results(self, exit: Exit) -> ContainerResults {
        ContainerResults::new(exit, self.docker, self.home, &self.task)
    }
}

/// Copy what the container prints into the log until it has ended.
async fn copy(mut output: Stream, task: &TaskContext) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match output.read(&mut buffer).await {
            Ok(0) => return,
            Ok(read) => task.log().write(&buffer[..read]),
            Err(error) => {
                task.log().error(format!("cannot read the output: {error}"));
                return;
            }
        }
    }
}
