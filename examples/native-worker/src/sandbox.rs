//! A task's directory, from furnishing it to starting the commands in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Door, Sandbox, SandboxBuilder, Visitors, Volume};
use taskcluster_worker::error::{Error, Result};

use crate::bridge;
use crate::devices::Lent;
use crate::engine::blocking;
use crate::execution;
use crate::limits::Limits;
use crate::task_dir::TaskDir;
use crate::tree;
use crate::user::TemporaryUser;

/// A sandbox being furnished.
#[derive(Debug)]
pub(crate) struct NativeBuilder {
    task: Arc<TaskContext>,
    furniture: Furniture,
    home: Home,
}

/// What is to be done in a task's directory.
#[derive(Debug)]
pub(crate) struct Furniture {
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    /// Whether the log tells what each command took.
    pub(crate) measured: bool,
    /// The network interface at which the task's containers call its proxy, if they are to.
    pub(crate) bridge: Option<String>,
}

/// The task's directory, the caches mounted in it, its devices and its user. Dropping it removes the directory, takes back the
/// devices, then removes the user.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) dir: TaskDir,
    pub(crate) devices: Vec<Lent>,
    pub(crate) user: Option<TemporaryUser>,
    volumes: Vec<PathBuf>,
}

impl Home {
    pub(crate) fn new(dir: TaskDir, user: Option<TemporaryUser>) -> Self {
        Self { dir, devices: Vec::new(), user, volumes: Vec::new() }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.user.is_some() {
            // The number of its user will be given to another one.
            if self.dir.is_kept()
                && let Err(error) = tree::hand_over(&self.dir.0, 0, 0)
            {
                tracing::error!(path = %self.dir.0.display(), %error, "cannot take over the directory of a task");
            }
            for volume in &self.volumes {
                if let Err(error) = tree::take_back(volume) {
                    tracing::error!(path = %volume.display(), %error, "cannot take a cache back");
                }
            }
        }
    }
}

impl NativeBuilder {
    pub(crate) fn new(task: Arc<TaskContext>, home: Home, mut furniture: Furniture) -> Self {
        if let Some(user) = &home.user {
            let dir = home.dir.0.to_string_lossy();
            for (name, value) in [("HOME", &*dir), ("USER", &user.name), ("LOGNAME", &user.name)] {
                furniture.env.insert(name.to_owned(), value.to_owned());
            }
        }
        Self { task, furniture, home }
    }

    /// Make the place for a mount and say where it is.
    async fn place(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(plain) || relative.file_name().is_none() {
            return Err(Error::payload(format!("{path:?} cannot be mounted: it is not below the task's directory")));
        }
        let place = self.home.dir.0.join(relative);
        if place.symlink_metadata().is_ok() {
            return Err(Error::payload(format!("two mounts are at {path:?}")));
        }
        let (root, owner) = (self.home.dir.0.clone(), self.owner());
        let made = place.clone();
        let inside = blocking("make the place of a mount", move || {
            let parent = made.parent().unwrap_or(&root);
            fs::create_dir_all(parent)?;
            if let Some((uid, gid)) = owner {
                for dir in parent.ancestors().take_while(|dir| dir.starts_with(&root)) {
                    std::os::unix::fs::lchown(dir, Some(uid), Some(gid))?;
                }
            }
            // A link of an earlier mount must not lead out of the task's directory.
            Ok(parent.canonicalize()?.starts_with(&root))
        })
        .await?;
        if inside {
            Ok(place)
        } else {
            Err(Error::payload(format!("{path:?} cannot be mounted: it is inside of a cache")))
        }
    }

    fn owner(&self) -> Option<(u32, u32)> {
        self.home.user.as_ref().map(|user| (user.uid, user.gid))
    }
}

#[async_trait]
impl SandboxBuilder for NativeBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.furniture.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn mount_directory(&mut self, path: &str, volume: Volume) -> Result<()> {
        if volume.read_only {
            return Err(Error::Unsupported("directories that can only be read"));
        }
        let place = self.place(path).await?;
        let owner = self.owner();
        self.home.volumes.push(volume.path.clone());
        blocking("mount a directory", move || {
            if let Some((uid, gid)) = owner {
                tree::hand_over(&volume.path, uid, gid)?;
            }
            std::os::unix::fs::symlink(&volume.path, &place)
        })
        .await
    }

    async fn add_file(&mut self, path: &str, source: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let place = self.place(path).await?;
        let (source, owner) = (source.to_owned(), self.owner());
        blocking("mount a file", move || {
            fs::copy(&source, &place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
            match owner {
                Some((uid, gid)) => std::os::unix::fs::lchown(&place, Some(uid), Some(gid)),
                None => Ok(()),
            }
        })
        .await
    }

    async fn add_directory(&mut self, path: &str, source: &Path) -> Result<()> {
        let place = self.place(path).await?;
        let (source, owner) = (source.to_owned(), self.owner());
        blocking("mount a directory", move || {
            fs::rename(&source, &place)?;
            match owner {
                Some((uid, gid)) => tree::hand_over(&place, uid, gid),
                None => Ok(()),
            }
        })
        .await
    }

    async fn open_door(&mut self, _host: &str) -> Result<Door> {
        if let Some(bridge) = &self.furniture.bridge {
            return bridge::door(bridge).await;
        }
        let user = self.owner().map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
        Door::on_loopback(Visitors::User(user)).await
    }

    async fn start(mut self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        let dir = self.home.dir.0.to_string_lossy().into_owned();
        let devices = self.home.devices.iter().filter_map(Lent::environment);
        for (name, value) in devices.chain([("TASK_WORKDIR", dir)]) {
            self.furniture.env.insert(name.to_owned(), value);
        }
        execution::start(self.task, self.home, self.furniture)
    }

    async fn discard(self: Box<Self>) {
        discard(self.home).await;
    }
}

/// Remove a task's directory and user without holding up the runtime.
pub(crate) async fn discard(home: Home) {
    if let Err(error) = tokio::task::spawn_blocking(move || drop(home)).await {
        tracing::error!(%error, "cannot clean up after a task");
    }
}
