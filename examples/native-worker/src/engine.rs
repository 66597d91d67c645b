//! The engine: the commands of a payload as processes of this machine, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Engine, SandboxBuilder};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::payload::{Payload, PayloadPart};
use taskcluster_worker::remove_tree;

use crate::isolation::Isolation;
use crate::process::Tree;
use crate::sandbox::NativeBuilder;
use crate::user::{self, TemporaryUser};

/// Runs commands on the machine itself.
#[derive(Debug)]
pub struct NativeEngine {
    tasks_dir: PathBuf,
    isolation: Isolation,
}

impl NativeEngine {
    /// Each task gets a directory of its own below `tasks_dir`, which nobody else uses.
    pub fn new(tasks_dir: impl Into<PathBuf>, isolation: Isolation) -> Self {
        Self { tasks_dir: tasks_dir.into(), isolation }
    }
}

/// The commands of a task.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CommandPayload {
    /// Commands, each a program with its arguments. They run one after the other until one fails.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<Argv>,
}

/// A program with its arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Argv(#[schemars(length(min = 1))] pub(crate) Vec<String>);

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
        blocking("prepare the directory of tasks", move || set_up(&tasks_dir, isolation)).await
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let commands: Vec<Vec<String>> =
            payload.part::<CommandPayload>()?.command.into_iter().map(|argv| argv.0).collect();
        if commands.iter().flatten().any(|argument| argument.contains('\0')) {
            return Err(Error::payload("payload/command: an argument of a program cannot contain the character NUL"));
        }
        let dir = self.tasks_dir.join(format!("{}_{}", task.task_id(), task.run_id()));
        let isolation = self.isolation;
        let (dir, user) = blocking("make the task's directory", move || make_dir(&dir, isolation)).await?;
        if isolation == Isolation::None {
            task.log().info(
                "isolation \"none\": commands run as the user of the worker, with HOME, PATH, CARGO_HOME and RUSTUP_HOME of it",
            );
        }
        Ok(Box::new(NativeBuilder::new(task.clone(), commands, dir, user, isolation.environment())))
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
    for entry in std::fs::read_dir(&tasks_dir)? {
        let left = entry?.path();
        Tree::new(&left, None).kill();
        remove_tree(&left)?;
    }
    Ok(())
}

fn make_dir(dir: &Path, isolation: Isolation) -> std::io::Result<(TaskDir, Option<TemporaryUser>)> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir)?;
    let guard = TaskDir(dir.canonicalize()?);
    std::fs::set_permissions(&guard.0, std::fs::Permissions::from_mode(0o700))?;
    let user = match isolation {
        Isolation::None => None,
        Isolation::User => {
            let user = TemporaryUser::create(&guard.0)?;
            std::os::unix::fs::lchown(&guard.0, Some(user.uid), Some(user.gid))?;
            Some(user)
        }
    };
    Ok((guard, user))
}

/// A task's directory, removed when dropped.
#[derive(Debug)]
pub(crate) struct TaskDir(pub(crate) PathBuf);

impl Drop for TaskDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::error!(path = %self.0.display(), %error, "cannot remove the directory of a task");
        }
    }
}
