//! The engine: the command of a payload in a container of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use taskcluster_core::Clock as _;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::TaskContext;
use taskcluster_worker::engine::{Engine, SandboxBuilder};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::payload::{Payload, PayloadPart};

use crate::container::{Blueprint, ContainerBuilder};
use crate::devices::{Devices, Pools};
use crate::docker::Docker;
use crate::gpus::Gpus;
use crate::image::{Images, Registry};
use crate::leftovers::{self, Mark};
use crate::payload::ContainerPayload;
use crate::privileges::{Allowed, Privileges};
use crate::save::DockerSave;

/// Runs tasks in containers.
#[derive(Debug)]
pub struct DockerEngine {
    docker: Docker,
    images: Arc<Images>,
    devices: Arc<Pools>,
    /// Where Docker keeps what it has, if that can be looked at from here.
    store: Option<PathBuf>,
    options: Options,
    mark: Mark,
    /// When it was last looked for what former lives left.
    swept: Mutex<Timestamp>,
}

/// How often it is looked for what former lives left, while there are tasks.
const SWEEP: Duration = Duration::from_secs(60);

/// How containers are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Written on what the worker makes, so that it finds what a former life of it left. One worker's alone.
    pub label: String,
    /// Credentials for images of registries.
    pub registries: Vec<Registry>,
    /// For how long a tag of a registry is believed to mean the image that is here. Default: 10 minutes.
    pub image_fresh_for: Duration,
    /// The most that an image which is an artifact may take, unpacked, in bytes. Default: 64 GiB.
    pub image_bytes: u64,
    /// The network of containers that have none of their own. Default: the engine's.
    pub network: Option<String>,
    /// What each container may take of the machine.
    pub limits: Limits,
    /// Make an image of this name of a container that has ended, to look at what it left. Default: none.
    pub keep_as: Option<String>,
    /// Run no command: the container is there for the shells that are opened in it, as long as somebody
    /// [holds](TaskContext::hold) it. Default: no.
    pub idle: bool,
    /// What tasks may ask for, if they have the scopes.
    pub allowed: Allowed,
    /// The devices that there are for them.
    pub devices: Devices,
    /// The graphics processors that every container sees. Default: none.
    pub gpus: Option<Gpus>,
    /// The file in which is kept which images the worker brought in, and when they were last used: these are removed when the disk is
    /// short. Default: none, and no image is ever removed.
    pub image_record: Option<PathBuf>,
}

/// What a container may take of the machine.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of memory; a container that wants more is ended. Default: whatever there is.
    pub memory: Option<u64>,
    /// Processors, in thousandths. Default: all.
    pub millicpus: Option<u64>,
    /// Processes and threads. Default: 512 for each processor of the machine, since the worker has to come to its turn whatever a
    /// task does.
    pub pids: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let pids = u32::try_from(processors.saturating_mul(512)).unwrap_or(u32::MAX);
        Self { memory: None, millicpus: None, pids: Some(pids) }
    }
}

impl Options {
    /// The defaults, with a label that no other worker has.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            registries: Vec::new(),
            image_fresh_for: Duration::from_secs(10 * 60),
            image_bytes: 64 << 30,
            network: None,
            limits: Limits::default(),
            keep_as: None,
            idle: false,
            allowed: Allowed::default(),
            devices: Devices::default(),
            gpus: None,
            image_record: None,
        }
    }
}

impl DockerEngine {
    /// An engine on the Docker engine at `host`: `unix:///var/run/docker.sock`, or `tcp://HOST:PORT` of this machine.
    ///
    /// # Errors
    /// [`Error::Worker`]: there is none.
    pub async fn connect(host: &str, options: Options) -> Result<Self> {
        let docker = Docker::connect(host).await?;
        let store = docker.store().await?;
        let images = Arc::new(Images::new(docker.clone(), &options, store.clone()));
        let devices = Pools::new(options.devices.clone());
        let mark = Mark::new(&options.label);
        Ok(Self { docker, images, devices, store, options, mark, swept: Mutex::new(Timestamp::UNIX_EPOCH) })
    }

    /// What saves the containers of tasks that ask for it.
    pub(crate) fn saving(&self) -> DockerSave {
        DockerSave::new(self.docker.clone(), self.mark.clone(), self.store.clone(), self.options.allowed.docker_save)
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<ContainerPayload>()
    }

    /// Remove what former lives left, beside a run, unless that was done of late.
    fn sweep(&self, task: &TaskContext) {
        let now = task.clock().now();
        {
            let mut swept = self.swept.lock().expect("nothing panics holding it");
            if *swept + SWEEP > now {
                return;
            }
            *swept = now;
        }
        let (docker, mark) = (self.docker.clone(), self.mark.clone());
        task.spawn(async move {
            if let Err(error) = leftovers::remove(&docker, &mark).await {
                tracing::warn!(error = error.reasons().join("; "), "cannot remove what a former worker left");
            }
        });
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    async fn set_up(&self) -> Result<()> {
        leftovers::remove(&self.docker, &self.mark).await
    }

    fn spare(&self) -> Option<usize> {
        self.devices.spare()
    }

    fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    async fn make_room(&self) -> Result<bool> {
        self.images.make_room(SystemClock.now()).await
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        self.sweep(task);
        let payload: ContainerPayload = payload.part()?;
        if payload.command.iter().any(|argument| argument.contains('\0')) {
            return Err(Error::payload("payload/command: an argument of a program cannot contain the character NUL"));
        }
        let privileges = Privileges::of(&payload, task, self.options.allowed, &self.devices);
        // Both are looked at, so that the author sees everything at once.
        let (privileges, image) = match (privileges, self.images.obtain(task, &payload.image).await) {
            (Ok(privileges), Ok(image)) => (privileges, image),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
            (Err(Error::Payload(mut reasons)), Err(Error::Payload(more))) => {
                reasons.extend(more);
                return Err(Error::Payload(reasons));
            }
            (Err(error), Err(_)) => return Err(error),
        };
        task.log().info(format!("image: {}", image.id));
        task.describe("imageHash", &image.id);
        if let Some(sha256) = &image.artifact_sha256 {
            task.describe("imageArtifactHash", format!("sha256:{sha256}"));
        }
        let blueprint = Blueprint {
            devices: privileges.devices(&self.devices)?,
            gpus: self.options.gpus.clone(),
            image,
            command: payload.command,
            privileges,
            mark: self.mark.clone(),
            network: self.options.network.clone(),
            limits: self.options.limits,
            keep_as: self.options.keep_as.clone(),
            idle: self.options.idle,
        };
        Ok(Box::new(ContainerBuilder::new(self.docker.clone(), task.clone(), blueprint)))
    }
}
