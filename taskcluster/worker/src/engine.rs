//! Engines: what runs a task. An engine knows no plugin.
//!
//! Ownership carries the life of a run: [`Engine::prepare`] gives a [`SandboxBuilder`], which plugins furnish;
//! [`SandboxBuilder::start`] consumes it and gives a [`Sandbox`]; [`Sandbox::wait`] consumes that and gives a [`ResultSet`].
//! What may arrive while somebody waits (a kill) goes through the sandbox's cloneable [`SandboxHandle`].
//!
//! A whole engine, for tasks whose payload is `{"count": 3}`, and a worker around it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use taskcluster_core::Credentials;
//! use taskcluster_worker::engine::{Exit, Extracted, Missing};
//! use taskcluster_worker::*;
//! use tokio_util::sync::CancellationToken;
//!
//! #[derive(Debug)]
//! struct Counter;
//!
//! /// What the engine reads of the payload; the worker refuses tasks that have something else.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct CounterPayload {
//!     /// How far to count.
//!     count: u32,
//! }
//!
//! #[async_trait]
//! impl Engine for Counter {
//!     fn name(&self) -> &'static str {
//!         "counter"
//!     }
//!
//!     fn payload(&self) -> PayloadPart {
//!         PayloadPart::of::<CounterPayload>()
//!     }
//!
//!     async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
//!         let count = payload.part::<CounterPayload>()?.count;
//!         Ok(Box::new(Counting { task: task.clone(), count, kill: CancellationToken::new() }))
//!     }
//! }
//!
//! #[derive(Clone, Debug)]
//! struct Counting {
//!     task: Arc<TaskContext>,
//!     count: u32,
//!     kill: CancellationToken,
//! }
//!
//! #[async_trait]
//! impl SandboxBuilder for Counting {
//!     fn set_env(&mut self, _name: &str, _value: &str) -> Result<()> {
//!         Ok(()) // who counts has no use for variables
//!     }
//!
//!     async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>> {
//!         Ok(self)
//!     }
//!
//!     async fn discard(self: Box<Self>) {}
//! }
//!
//! #[async_trait]
//! impl Sandbox for Counting {
//!     fn handle(&self) -> Arc<dyn SandboxHandle> {
//!         Arc::new(self.kill.clone())
//!     }
//!
//!     async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
//!         for number in 1..=self.count {
//!             if self.kill.is_cancelled() {
//!                 return Ok(Box::new(Counted(Exit::Killed)));
//!             }
//!             self.task.log().write(format!("{number}\n").as_bytes());
//!         }
//!         Ok(Box::new(Counted(Exit::Code(0))))
//!     }
//! }
//!
//! #[derive(Debug)]
//! struct Counted(Exit);
//!
//! #[async_trait]
//! impl ResultSet for Counted {
//!     fn exit(&self) -> &Exit {
//!         &self.0
//!     }
//!
//!     async fn file(&self, path: &str) -> Result<Extracted, Missing> {
//!         Err(Missing::NotFound(path.to_owned())) // counting leaves no files
//!     }
//!
//!     async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
//!         Err(Missing::NotFound(path.to_owned()))
//!     }
//!
//!     async fn dispose(self: Box<Self>) {}
//! }
//!
//! use taskcluster_worker::plugins::BackingLog;
//! # use taskcluster_worker::plugins::BACKING_LOG;
//! # use taskcluster_worker::testing::{FakeQueue, task_with_payload};
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     # let queue = FakeQueue::start().await?;
//!     # let task_id = queue.add_task(task_with_payload(serde_json::json!({ "count": 3 }).as_object().unwrap()));
//!     # let (root_url, dir) = (queue.root_url(), tempfile::tempdir()?);
//!     # let work_dir = dir.path();
//!     let identity = Identity::new("my-pool/counters".parse()?, "my-group", "machine-1");
//!     let settings = Settings::new(work_dir).with_task_limit(1);
//!     # /*
//!     let root_url = std::env::var("TASKCLUSTER_ROOT_URL")?;
//!     let credentials = Credentials::from_env()?.ok_or("TASKCLUSTER_CLIENT_ID is not set")?;
//!     # */
//!     # let credentials = Credentials::new("project/my-worker", "secret");
//!     let worker = Worker::builder(root_url, identity, Counter, settings)
//!         .credentials(credentials)
//!         .plugin(BackingLog::default())
//!         .build()?;
//!     let done = worker.run(Shutdown::new()).await?;
//!     println!("{} task has been run", done.runs);
//!     # assert_eq!(queue.state(&task_id), "completed");
//!     # assert!(queue.text(&task_id, BACKING_LOG).contains("1\n2\n3\n"));
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::context::TaskContext;
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::shell::{Shell, ShellRequest};
use crate::size::size;

/// Something that can run tasks: native processes, containers, another system's builds.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// A short name for logs and errors.
    fn name(&self) -> &'static str;

    /// What this engine reads of the payload.
    fn payload(&self) -> PayloadPart;

    /// Called once before the worker claims anything: find out whether tasks can run here, remove what a former worker left.
    async fn set_up(&self) -> Result<()> {
        Ok(())
    }

    /// How many more tasks could run, whatever their payloads ask for, which is not known before they are claimed: the worker claims
    /// no more than that beyond those whose payload the engine has not seen yet. `None`: nothing is counted here.
    ///
    /// What changes it has to change before [`prepare`](Self::prepare) returns, or when something of a run is released.
    fn spare(&self) -> Option<usize> {
        None
    }

    /// What the engine fills besides the folders of the worker, such as where it keeps images, for the worker to look at how full the
    /// disk is before it claims. `None`: nothing, or nothing that can be looked at.
    fn store(&self) -> Option<&Path> {
        None
    }

    /// The disk of the [store](Self::store) is short: remove one thing of it that no task uses, what was used least recently. Says
    /// whether there was one.
    ///
    /// # Errors
    /// [`Error::Worker`]: what is there cannot be looked at.
    async fn make_room(&self) -> Result<bool> {
        Ok(false)
    }

    /// Check the payload and begin what is slow (fetching an image, making a user). Runs beside the plugins' preparation.
    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>>;
}

/// A sandbox that is being furnished. Dropping it must release whatever it holds; [`SandboxBuilder::discard`] does so in order.
#[async_trait]
pub trait SandboxBuilder: Send + fmt::Debug {
    /// Set an environment variable; a later call for the same name wins. Defaults of the engine yield to both.
    fn set_env(&mut self, name: &str, value: &str) -> Result<()>;

    /// Make a directory of the host visible at `path`, a path as the payload writes it.
    async fn mount_directory(&mut self, _path: &str, _volume: Volume) -> Result<()> {
        Err(Error::Unsupported("mounted directories"))
    }

    /// Put a copy of the file `source` at `path`, readable by the task.
    async fn add_file(&mut self, _path: &str, _source: &Path) -> Result<()> {
        Err(Error::Unsupported("mounted files"))
    }

    /// Move the directory `source`, with what is in it, to `path`: from then on it is the task's, and goes when the task does. It is
    /// the run's own, below its [scratch folder](TaskContext::scratch).
    async fn add_directory(&mut self, _path: &str, _source: &Path) -> Result<()> {
        Err(Error::Unsupported("mounted directories"))
    }

    /// Open a way from the sandbox to something that serves this task alone, in the worker's own process. The task is to call
    /// it by the name `host` where the engine can arrange that.
    ///
    /// Default: a port of the loopback interface, for sandboxes that share the network of the worker; connections of any
    /// process of the machine arrive there.
    ///
    /// # Errors
    /// [`Error::Worker`]: nothing can be listened on.
    async fn open_door(&mut self, _host: &str) -> Result<Door> {
        Door::on_loopback(Visitors::Anybody).await
    }

    /// Start what the task asks for. Standard output and error go to the task's log.
    ///
    /// # Errors
    /// [`Error::Task`] where the command itself cannot be started.
    async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>>;

    /// Release everything without having started.
    async fn discard(self: Box<Self>);
}

/// A directory of the host that a sandbox uses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Volume {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether the task may only read it.
    pub read_only: bool,
}

impl Volume {
    /// A directory that the task may write to.
    pub fn writable(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read_only: false }
    }

    /// A directory that the task may only read.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read_only: true }
    }
}

/// A way from a sandbox to the worker.
#[derive(Debug)]
#[non_exhaustive]
pub struct Door {
    /// Connections of the task arrive here.
    pub listener: TcpListener,
    /// How the task calls it: scheme, host and port, without a slash at the end.
    pub url: String,
    /// Who may come through it.
    pub visitors: Visitors,
}

/// Whose connections arrive at a [`Door`], for whoever serves there to tell the task from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visitors {
    /// Processes of this user of the machine are the task's.
    User(u32),
    /// Whatever is in this network is the task's, apart from the door itself.
    Network {
        /// An address in it.
        address: Ipv4Addr,
        /// How many of its bits all addresses there have in common.
        prefix: u8,
    },
    /// Nothing tells the task from others: it needs a secret.
    Anybody,
}

impl Door {
    /// A door at `listener`, which the task calls by `url`.
    pub fn new(listener: TcpListener, url: impl Into<String>, visitors: Visitors) -> Self {
        Self { listener, url: url.into(), visitors }
    }

    /// A door at any port of the loopback interface.
    ///
    /// # Errors
    /// [`Error::Worker`]: nothing can be listened on.
    pub async fn on_loopback(visitors: Visitors) -> Result<Self> {
        let failed = |error| Error::worker_caused("cannot listen on the loopback interface", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        Ok(Self::new(listener, url, visitors))
    }
}

/// A sandbox in which the user's code runs.
#[async_trait]
pub trait Sandbox: Send + fmt::Debug {
    /// What can be done from elsewhere while somebody waits.
    fn handle(&self) -> Arc<dyn SandboxHandle>;

    /// Wait until the user's code has ended, by itself or killed. No process of the task is left when this returns.
    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>>;
}

/// Reaches a running sandbox.
#[async_trait]
pub trait SandboxHandle: Send + Sync + fmt::Debug {
    /// End the user's code, politely for at most a second and then by force. Returns when the order is given;
    /// [`Sandbox::wait`] returns when it is carried out. Killing what has ended does nothing.
    async fn kill(&self);

    /// How many bytes of memory the user's code holds now, as far as nobody else shares them; `None` where the engine cannot
    /// tell. May look at all processes of the machine: it blocks.
    fn memory(&self) -> Option<u64> {
        None
    }

    /// Start a program beside the user's code, with what that has: its directory, its variables, its rights.
    ///
    /// An engine that can do this keeps the sandbox when the user's code has ended by itself, until
    /// [nobody holds it](TaskContext::released) or it is killed.
    ///
    /// With the program ends what it started. What has left its session, as daemons do with `setsid`, may stay until the sandbox
    /// ends: an engine says what it can do about that.
    ///
    /// # Errors
    /// [`Error::Unsupported`]: this engine cannot. [`Error::Task`]: there is no such program, or the sandbox is gone.
    async fn open_shell(&self, _request: &ShellRequest) -> Result<Shell> {
        Err(Error::Unsupported("shells"))
    }
}

/// All that is needed where a sandbox can only be killed: whoever waits for the code waits for the token as well.
#[async_trait]
impl SandboxHandle for CancellationToken {
    async fn kill(&self) {
        self.cancel();
    }
}

/// How the user's code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal that the worker did not send ended it.
    Signal(i32),
    /// The system ended something of it for want of memory, whatever the rest came to.
    OutOfMemory {
        /// The exit code of what is left.
        code: i32,
        /// Bytes that it may take, if that was what it wanted more than.
        limit: Option<u64>,
    },
    /// It could not be started, with the reason.
    NotStarted(String),
    /// The worker killed it.
    Killed,
}

impl Exit {
    /// Whether it succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// The exit code as a shell would tell it (128 + signal).
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) | Self::OutOfMemory { code, .. } => Some(*code),
            Self::Signal(signal) => Some(128 + signal),
            Self::NotStarted(_) | Self::Killed => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(9) => f.write_str("killed by signal 9, as the system does when memory runs out"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::OutOfMemory { code, limit: Some(limit) } => {
                let limit = size(*limit);
                write!(
                    f,
                    "out of memory: the task may take {limit}, and was killed, or a part of it, for wanting more (exit code {code})"
                )
            }
            Self::OutOfMemory { code, limit: None } => {
                write!(
                    f,
                    "out of memory: the task was killed, or a part of it, since there was no more (exit code {code})"
                )
            }
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::Killed => f.write_str("killed by the worker"),
        }
    }
}

/// What a sandbox leaves behind once its code has ended.
#[async_trait]
pub trait ResultSet: Send + Sync + fmt::Debug {
    /// How the user's code ended.
    fn exit(&self) -> &Exit;

    /// A file that the task made, at a path as the payload writes it.
    ///
    /// An engine that copies it to somewhere looks first whether it is [larger than artifacts may be](TaskContext::artifact_limits),
    /// since a file can be larger than any disk.
    async fn file(&self, path: &str) -> Result<Extracted, Missing>;

    /// The regular files below a directory that the task made, with paths relative to it, sorted.
    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing>;

    /// Remove everything that is left of the task, apart from mounted directories.
    async fn dispose(self: Box<Self>);
}

/// A file that left its sandbox.
#[derive(Debug)]
pub struct Extracted {
    path: PathBuf,
    _copy: Option<tempfile::TempPath>,
}

impl Extracted {
    /// The file itself, which nothing changes any more.
    pub fn in_place(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), _copy: None }
    }

    /// A copy that is removed once it is no longer needed.
    #[must_use]
    pub fn copy(path: tempfile::TempPath) -> Self {
        Self { path: path.to_path_buf(), _copy: Some(path) }
    }

    /// Where it can be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Why there is no such file or directory. Becomes an `error` artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// Nothing is there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// Something else is there.
    #[error("{0}")]
    WrongType(String),
    /// It may not be read by the task.
    #[error("{0}")]
    NotReadable(String),
    /// It is larger than [artifacts may be](TaskContext::artifact_limits), or than there is room for.
    #[error("{0}")]
    TooLarge(String),
}

impl Missing {
    /// The word that the queue has for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "file-missing-on-worker",
            Self::WrongType(_) => "invalid-resource-on-worker",
            Self::NotReadable(_) => "file-not-readable-on-worker",
            Self::TooLarge(_) => "too-large-file-on-worker",
        }
    }
}
