//! The engine: the commands of a payload as processes of this machine, one after the other.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Engine, SandboxBuilder};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::payload::{Payload, PayloadPart};

use crate::devices::{Devices, LoopbackDevices};
use crate::groups::Group;
use crate::isolation::Isolation;
use crate::limits::Limits;
use crate::payload::CommandPayload;
use crate::privileges::{Allowed, Granted};
use crate::sandbox::{Furniture, Home, NativeBuilder};
use crate::task_dir::{self, Afterwards, TaskDir};
use crate::user::TemporaryUser;
use crate::users::UserPool;

/// Runs commands on the machine itself.
#[derive(Debug)]
pub struct NativeEngine {
    tasks_dir: PathBuf,
    allowed: Allowed,
    limits: Limits,
    users: UserPool,
    bridge: String,
    idle: bool,
    afterwards: Afterwards,
}

/// The bridge that Docker makes for its containers.
const DOCKER_BRIDGE: &str = "docker0";

impl NativeEngine {
    /// Each task gets a directory of its own below `tasks_dir`, which nobody else uses.
    pub fn new(tasks_dir: impl Into<PathBuf>, isolation: Isolation) -> Self {
        let tasks_dir = tasks_dir.into();
        let users = UserPool::new(tasks_dir.clone(), 1);
        let allowed = Allowed { isolation, as_current_user: false, devices: Devices::default() };
        let bridge = DOCKER_BRIDGE.to_owned();
        Self {
            tasks_dir,
            allowed,
            limits: Limits::default(),
            users,
            bridge,
            idle: false,
            afterwards: Afterwards::Removed,
        }
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

    /// Whether tasks with `features.runTaskAsCurrentUser`, and the scope for it, run as the user of the worker, whatever the
    /// isolation of others. Such a task is kept from nothing that this user may do: with isolation [`Isolation::User`] that is root.
    /// Default: no.
    #[must_use]
    pub fn with_run_task_as_current_user(mut self, allow: bool) -> Self {
        self.allowed.as_current_user = allow;
        self
    }

    /// The loopback devices that tasks with the scopes may have. Default: none.
    #[must_use]
    pub fn with_loopback_devices(mut self, devices: LoopbackDevices) -> Self {
        self.allowed.devices = Devices::new(devices);
        self
    }

    /// The network interface on which a task's containers reach its proxy, where it asks for that. Default: `docker0`.
    #[must_use]
    pub fn with_docker_bridge(mut self, interface: impl Into<String>) -> Self {
        self.bridge = interface.into();
        self
    }

    /// Run no commands: the task's surroundings are there for the shells that are opened in them, as long as somebody
    /// [holds](TaskContext::hold) them.
    #[must_use]
    pub fn with_only_shells(mut self) -> Self {
        self.idle = true;
        self
    }

    /// Leave the directories of tasks when they have ended, for somebody to look at. What a task made is root's then, where it had a
    /// user of its own. They are removed when a worker begins with the same directory.
    #[must_use]
    pub fn with_kept_directories(mut self) -> Self {
        self.afterwards = Afterwards::Kept;
        self
    }

    /// Make users for tasks to come, beside everything else.
    fn fill_pool(&self) {
        if self.allowed.isolation == Isolation::User {
            let users = self.users.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = users.fill() {
                    tracing::error!(%error, "cannot make users for tasks to come");
                }
            });
        }
    }

    /// The directory of a task, and its user where it has one of its own.
    async fn make_home(&self, task: &TaskContext, isolation: Isolation, groups: Vec<Group>) -> Result<Home> {
        let afterwards = self.afterwards;
        match isolation {
            Isolation::None => {
                let dir = self.tasks_dir.join(format!("{}_{}", task.task_id(), task.run_id()));
                let dir = blocking("make the task's directory", move || TaskDir::make(&dir, afterwards)).await?;
                Ok(Home::new(dir, None))
            }
            Isolation::User => {
                let users = self.users.clone();
                let user = blocking("make the task's user", move || users.take()).await?;
                self.fill_pool();
                blocking("make the task's directory", move || home_of(user, &groups, afterwards)).await
            }
        }
    }
}

fn home_of(mut user: TemporaryUser, groups: &[Group], afterwards: Afterwards) -> std::io::Result<Home> {
    user.join(groups)?;
    let dir = TaskDir::make(&user.home, afterwards)?;
    std::os::unix::fs::lchown(&dir.0, Some(user.uid), Some(user.gid))?;
    Ok(Home::new(dir, Some(user)))
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
        let isolation = self.allowed.isolation;
        tracing::info!(%isolation, "tasks run on the machine itself");
        if self.allowed.as_current_user && isolation == Isolation::User {
            tracing::warn!("tasks with features.runTaskAsCurrentUser and the scope for it run as root");
        }
        let (tasks_dir, devices) = (self.tasks_dir.clone(), self.allowed.devices.clone());
        let prepared = blocking("prepare the directory of tasks", move || {
            task_dir::prepare(&tasks_dir, isolation)?;
            if isolation == Isolation::User { devices.take_back_leftovers() } else { Ok(()) }
        });
        prepared.await?;
        self.fill_pool();
        Ok(())
    }

    fn spare(&self) -> Option<usize> {
        self.allowed.devices.spare()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let payload = payload.part::<CommandPayload>()?;
        payload.check()?;
        let Granted { isolation, groups, devices } = self.allowed.grant(task, &payload)?;
        let mut lent = Vec::new();
        for kind in devices {
            lent.push(self.allowed.devices.lend(kind)?);
        }
        let mut home = self.make_home(task, isolation, groups).await?;
        for device in &mut lent {
            device.give(home.user.as_ref())?;
        }
        home.devices = lent;
        if isolation == Isolation::None {
            task.log().info(as_whom(&payload));
        }
        let furniture = Furniture {
            env: isolation.environment(),
            limits: self.limits,
            measured: payload.features.resource_monitor,
            bridge: payload.wants_bridge().then(|| self.bridge.clone()),
            commands: match self.idle {
                true => Vec::new(),
                false => payload.command.into_iter().map(|argv| argv.0).collect(),
            },
        };
        Ok(Box::new(NativeBuilder::new(task.clone(), home, furniture)))
    }
}

/// What a task that has no user of its own is told.
fn as_whom(payload: &CommandPayload) -> String {
    let why = match payload.features.run_task_as_current_user {
        true => "features.runTaskAsCurrentUser",
        false => "isolation \"none\"",
    };
    format!("{why}: commands run as the user of the worker, with HOME, PATH, CARGO_HOME and RUSTUP_HOME of it")
}

/// Do something that blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |error| Error::worker_caused(format!("cannot {what}"), error);
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.into()))?.map_err(failed)
}
