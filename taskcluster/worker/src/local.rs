//! A task run here and now: the same worker, without a queue.
//!
//! The worker is told to call a queue that knows one task (`desk`) and keeps what it gets in a folder. Every other call goes to
//! the deployment, if there is one: images and mounted content are found where the task would find them.
//!
//! ```
//! use serde_json::json;
//! use taskcluster_worker::local::LocalTask;
//! # use taskcluster_worker::plugins::{Artifacts, BackingLog};
//! # use taskcluster_worker::testing::MockEngine;
//! # use taskcluster_worker::{Identity, Outcome, Settings, Shutdown, Worker};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (work_dir, folder, engine) = (dir.path().join("work"), dir.path().join("out"), MockEngine::default());
//! let identity = Identity::new("my-pool/my-type".parse()?, "local", "desk");
//! let builder = Worker::builder("https://tc.example.com", identity, engine, Settings::new(work_dir))
//!     .plugin(Artifacts::default())
//!     .plugin(BackingLog::default());
//! let task = json!({
//!     "payload": {
//!         "mock": [{"write": {"path": "result", "text": "42"}}],
//!         "artifacts": [{"type": "file", "path": "result", "name": "public/result"}],
//!     },
//! });
//! let end = LocalTask::from_value(task)?.keep_in(&folder).run(builder, Shutdown::new()).await?;
//! assert_eq!(end.outcome, Some(Outcome::Completed));
//! assert_eq!(std::fs::read_to_string(folder.join("public/result"))?, "42");
//! # Ok(())
//! # }
//! ```

mod definition;
mod desk;
mod keeping;
mod own_shell;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::Value;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_core::transport::Transport;

use crate::error::Result;
use crate::outcome::Outcome;
use crate::shell::{Shell, ShellRequest};
use crate::shutdown::Shutdown;
use crate::worker::{WorkerBuilder, WorkerError};

#[cfg(feature = "testing")]
pub(crate) use definition::complete;
use desk::Desk;
use own_shell::OwnShell;

/// A task that is to be run without a queue.
#[derive(Clone, Debug)]
pub struct LocalTask {
    task_id: TaskId,
    definition: Value,
    folder: PathBuf,
    credentials: Option<Credentials>,
    transport: Option<Transport>,
    shell: Option<OwnShell>,
}

/// How a local run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalEnd {
    /// What the queue would have been told; `None` if nothing was told, as after a shutdown that came too early.
    pub outcome: Option<Outcome>,
    /// The files that are artifacts now, in the order in which they came.
    pub artifacts: Vec<PathBuf>,
    /// The exit code of the [shell](LocalTask::with_shell), if there was one and it ended by itself.
    pub shell: Option<i32>,
}

/// Why there is no task to run.
#[derive(Debug, thiserror::Error)]
#[error("this is neither the definition of a task nor a payload: {reason}")]
pub struct NotATask {
    reason: String,
}

impl LocalTask {
    /// The task of that definition, as `createTask` takes it or `task` gives it; what a definition lacks is filled in. An
    /// object without `payload` is taken for the payload.
    ///
    /// # Errors
    /// It is no object, or something in it is not as definitions have it.
    pub fn from_value(definition: Value) -> Result<Self, NotATask> {
        let definition = definition::complete(definition)?;
        let folder = PathBuf::from("artifacts");
        Ok(Self { task_id: TaskId::new(), definition, folder, credentials: None, transport: None, shell: None })
    }

    /// What tasks see as `TASK_ID`. Default: a new one.
    #[must_use]
    pub fn with_task_id(mut self, task_id: TaskId) -> Self {
        self.task_id = task_id;
        self
    }

    /// The folder where artifacts become files, below their names. Default: `artifacts`, in the current directory.
    #[must_use]
    pub fn keep_in(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.folder);
        self
    }

    /// Whose scopes the task may use, as far as it has them itself. Permanent credentials issue temporary ones with the task's
    /// scopes; those that are temporary are used as they are. Default: nobody's, so that the task gets what anybody gets.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// How calls travel that are not about this run. Default: by HTTP, with the SDK's feature for that; else not at all.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Open a shell in the task's sandbox as soon as that is started, and keep the sandbox until `attend` has given its exit code, which
    /// is then the task's: what is not 0 failed. The engine has to be told by its own means not to run the command. `maxRunTime`
    /// counts all the same; caches are kept, as by every local run.
    #[must_use]
    pub fn with_shell<F>(mut self, request: ShellRequest, attend: impl FnOnce(Shell) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<i32>> + Send + 'static,
    {
        self.shell = Some(OwnShell::new(request, Box::new(move |shell| attend(shell).boxed())));
        self
    }

    /// What the task is given to do.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.definition["payload"]
    }

    /// The task queue that the task is for.
    #[must_use]
    pub fn task_queue_id(&self) -> &str {
        self.definition["taskQueueId"].as_str().unwrap_or_default()
    }

    /// Run it by the worker that is being built, and wait for its end.
    ///
    /// # Errors
    /// There is no such worker, or it cannot run anything.
    pub async fn run(self, mut builder: WorkerBuilder, shutdown: impl Into<Shutdown>) -> Result<LocalEnd, WorkerError> {
        if let Some(shell) = &self.shell {
            builder = builder.plugin(shell.clone());
        }
        let through = self.transport.unwrap_or_else(desk::default_transport);
        let desk = Arc::new(Desk::new(self.task_id, self.definition, self.credentials, self.folder, through));
        let worker = builder.transport(desk::transport(desk.clone())).for_one_local_run().build()?;
        worker.run(shutdown).await?;
        let shell = self.shell.and_then(|shell| shell.code());
        Ok(LocalEnd { outcome: desk.outcome(), artifacts: desk.kept(), shell })
    }
}
