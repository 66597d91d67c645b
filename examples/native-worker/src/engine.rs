//! The engine: the commands of a payload as processes of this machine, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Engine, SandboxBuilder};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::payload::{Payload, PayloadPart};
use taskcluster_worker::remove_tree;

use crate::cgroup;
use crate::groups;
use crate::isolation::Isolation;
use crate::payload::CommandPayload;
use crate::process::Tree;
use crate::sandbox::{Furniture, NativeBuilder};
use crate::user;
use crate::users::UserPool;

/// Runs commands on the machine itself.
#[derive(Debug)]
pub struct NativeEngine {
    tasks_dir: PathBuf,
    isolation: Isolation,
    limits: Limits,
    users: UserPool,
    idle: bool,
}

/// What tasks may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Processes and threads that a task's user may have at once. Without a user of its own, a task has no such limit.
    pub processes: u64,
}

impl Limits {
    /// The user of a task may have so many processes and threads.
    #[must_use]
    pub fn with_processes(mut self, processes: u64) -> Self {
        self.processes = processes;
        self
    }
}

impl Default for Limits {
    /// 512 processes for each processor of the machine: the worker has to come to its turn whatever a task does.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { processes: 512 * processors as u64 }
    }
}

impl NativeEngine {
    /// Each task gets a directory of its own below `tasks_dir`, which nobody else uses.
    pub fn new(tasks_dir: impl Into<PathBuf>, isolation: Isolation) -> Self {
        let tasks_dir = tasks_dir.into();
        let users = UserPool::new(tasks_dir.clone(), 1);
        Self { tasks_dir, isolation, limits: Limits::default(), users, idle: false }
    }

    /// Tasks may take no more than this.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many users are kept ready for the tasks to come. Default 1.
    #[must_use]
    pub fn with_spare_users(mut self, users: usize) -> Self {
        self.users = UserPool::new(self.tasks_dir.clone(), users);
        self
    }

    /// Run no commands: the task's surroundings are there for the shells that are opened in them, as long as somebody
    /// [holds](TaskContext::hold) them.
    #[must_use]
    pub fn with_only_shells(mut self) -> Self {
        self.idle = true;
        self
    }

    /// Make users for tasks to come, beside everything else.
    fn fill_pool(&self) {
        if self.isolation == Isolation::User {
            let users = self.users.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = users.fill() {
                    tracing::error!(%error, "cannot make users for tasks to come");
                }
            });
        }
    }
}

#[async_trait]
impl Engine for NativeEngine {
    fn name(&self) -> &'static str {
        "native"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<CommandPayload>()
    }

    async fn set_up(&self) -> Result<()> {
        tracing::info!(isolation = %self.isolation, "tasks run on the machine itself");
        let (tasks_dir, isolation) = (self.tasks_dir.clone(), self.isolation);
        blocking("prepare the directory of tasks", move || set_up(&tasks_dir, isolation)).await?;
        self.fill_pool();
        Ok(())
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let payload = payload.part::<CommandPayload>()?;
        payload.check()?;
        let groups = groups::allowed(task, &payload.os_groups, self.isolation)?;
        let (dir, user) = match self.isolation {
            Isolation::None => {
                let dir = self.tasks_dir.join(format!("{}_{}", task.task_id(), task.run_id()));
                (blocking("make the task's directory", move || TaskDir::make(&dir)).await?, None)
            }
            Isolation::User => {
                let users = self.users.clone();
                let mut user = blocking("make the task's user", move || users.take()).await?;
                self.fill_pool();
                let made = blocking("make the task's directory", move || {
                    user.join(&groups)?;
                    let dir = TaskDir::make(&user.home)?;
                    std::os::unix::fs::lchown(&dir.0, Some(user.uid), Some(user.gid))?;
                    Ok((dir, user))
                });
                let (dir, user) = made.await?;
                (dir, Some(user))
            }
        };
        if self.isolation == Isolation::None {
            task.log().info(
                "isolation \"none\": commands run as the user of the worker, with HOME, PATH, CARGO_HOME and RUSTUP_HOME of it",
            );
        }
        Ok(Box::new(NativeBuilder::new(
            task.clone(),
            dir,
            user,
            Furniture {
                commands: match self.idle {
                    true => Vec::new(),
                    false => payload.command.into_iter().map(|argv| argv.0).collect(),
                },
                env: self.isolation.environment(),
                limits: self.limits,
                measured: payload.features.resource_monitor,
            },
        )))
    }
}

/// Do something that blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |error| Error::worker_caused(format!("cannot {what}"), error);
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.into()))?.map_err(failed)
}

fn set_up(tasks_dir: &Path, isolation: Isolation) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(tasks_dir)?;
    let tasks_dir = tasks_dir.canonicalize()?;
    if isolation == Isolation::User {
        if !rustix::process::geteuid().is_root() {
            return Err(std::io::Error::other("isolation \"user\" needs root; use isolation \"none\" or run as root"));
        }
        std::fs::set_permissions(&tasks_dir, std::fs::Permissions::from_mode(0o711))?;
        for ancestor in tasks_dir.ancestors() {
            if std::fs::metadata(ancestor)?.permissions().mode() & 0o001 == 0 {
                let text =
                    format!("the users of tasks cannot pass {}; choose another work directory", ancestor.display());
                return Err(std::io::Error::other(text));
            }
        }
        user::remove_leftovers(&tasks_dir)?;
    }
    cgroup::remove_leftovers();
    for entry in std::fs::read_dir(&tasks_dir)? {
        let left = entry?.path();
        Tree::new(&left, None).kill();
        remove_tree(&left)?;
    }
    Ok(())
}

/// A task's directory, removed when dropped.
#[derive(Debug)]
pub(crate) struct TaskDir(pub(crate) PathBuf);

impl TaskDir {
    /// Make a directory that nobody else may look into.
    fn make(dir: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(dir)?;
        let made = Self(dir.canonicalize()?);
        std::fs::set_permissions(&made.0, std::fs::Permissions::from_mode(0o700))?;
        Ok(made)
    }
}

impl Drop for TaskDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::error!(path = %self.0.display(), %error, "cannot remove the directory of a task");
        }
    }
}
