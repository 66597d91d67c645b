//! A Docker worker put together, for programs that embed one and for this crate's own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::plugins::{
    Artifacts, BackingLog, ChainOfTrust, Env, ExitStatus, Interactive, Linger, LiveLog, MaxRunTime, MaxSilence,
    MemoryGuard, MemoryLimits, Proxy, ShellPage,
};
use taskcluster_worker::tunnel::{TunnelError, TunnelServer};
use taskcluster_worker::{Error, Identity, PayloadPart, PayloadSchema, Plugin, Settings, Worker, WorkerBuilder};
use url::Url;

use crate::caches::Caches;
use crate::engine::{DockerEngine, Options};
use crate::payload::{ArtifactsByName, KeptLog, ReadableLog, RetryOnExitStatus};
use crate::save::DockerSave;

/// What is particular to a Docker worker.
///
/// ```no_run
/// use taskcluster_docker_worker::{DockerWorker, Options};
/// use taskcluster_worker::{Identity, Settings, Shutdown};
///
/// # async fn example(credentials: taskcluster_core::Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::new("my-pool/docker".parse()?, "my-group", "machine-1");
/// let settings = Settings::new("/var/lib/docker-worker").with_capacity(4);
/// let worker = DockerWorker::new("unix:///var/run/docker.sock")
///     .builder("https://tc.example.com", identity, settings)
///     .await?
///     .credentials(credentials)
///     .build()?;
/// worker.run(Shutdown::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DockerWorker {
    /// Where the Docker engine listens: `unix://PATH`, or `tcp://HOST:PORT` of this machine.
    pub docker: String,
    /// How containers are made. Default: as [`Options::new`] says, with the worker's directory as label.
    pub options: Option<Options>,
    /// Where caches are kept. Default: in the worker's directory.
    pub cache_dir: Option<PathBuf>,
    /// The longest that tasks may ask to run. Default: a day.
    pub max_run_time: Duration,
    /// How long a task may print nothing whose payload does not say it. Default: as long as it runs.
    pub max_silence: Option<Duration>,
    /// When the machine is short of memory, so that the task that holds the most of it is ended; `None`: never.
    pub memory_guard: Option<MemoryLimits>,
    /// Whether images are removed when the disk is short: those that the worker brought in. Default: yes, and which those are is kept
    /// in the worker's directory.
    pub remove_images: bool,
    /// Where live logs are served. Default: any port of the loopback interface.
    pub live_log_address: SocketAddr,
    /// Where viewers find the live logs, if not at that address.
    pub live_log_url: Option<Url>,
    /// Certificate chain and key by which they are served, and shells as well, files of PEM that may change meanwhile. Default:
    /// plain HTTP.
    pub live_log_tls: Option<(PathBuf, PathBuf)>,
    /// Through what viewers come in, where they cannot reach this machine; nothing is listened on then. Default: nothing.
    pub tunnel: Option<TunnelServer>,
    /// Where shells in tasks with `features.interactive` are served. Default: any port of the loopback interface.
    pub shell_address: SocketAddr,
    /// Where visitors find the shells, if not at that address.
    pub shell_url: Option<Url>,
    /// How long a task that allows shells stays once its command has ended.
    pub linger: Linger,
    /// How often the log is uploaded as far as it has come; zero: only at the end of the run. Default: each minute.
    pub log_interval: Duration,
    /// Environment variables of every task, which payloads cannot override.
    pub env: Vec<(String, String)>,
    /// What signs for the runs that ask for it. Default: nothing.
    pub chain_of_trust: ChainOfTrust,
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerWorkerError {
    /// There is no Docker engine.
    #[error(transparent)]
    Engine(#[from] Error),
    /// Caches cannot be kept where they should be.
    #[error("cannot keep caches in {}", .path.display())]
    Caches {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There can be no such tunnel.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// Live logs cannot be served where they should be.
    #[error("cannot serve live logs at {address}")]
    LiveLog {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Shells cannot be served where they should be.
    #[error("cannot serve shells at {address}")]
    Shells {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DockerWorker {
    /// The defaults, on the engine at `docker`.
    pub fn new(docker: impl Into<String>) -> Self {
        Self {
            docker: docker.into(),
            options: None,
            cache_dir: None,
            max_run_time: Duration::from_secs(24 * 60 * 60),
            max_silence: None,
            memory_guard: Some(MemoryLimits::default()),
            remove_images: true,
            live_log_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            live_log_url: None,
            live_log_tls: None,
            tunnel: None,
            shell_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shell_url: None,
            linger: Linger::default(),
            log_interval: Duration::from_secs(60),
            env: Vec::new(),
            chain_of_trust: ChainOfTrust::new(None),
        }
    }

    /// The same on the engine that `DOCKER_HOST` names, else on the one at `unix:///var/run/docker.sock`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(crate::config::default_docker())
    }

    /// Engine and plugins, in a builder that takes what all workers need besides: credentials, events, a bus.
    ///
    /// # Errors
    /// There is no engine, or caches, live logs or shells cannot be had.
    pub async fn builder(
        self,
        root_url: impl Into<String>,
        identity: Identity,
        settings: Settings,
    ) -> Result<WorkerBuilder, DockerWorkerError> {
        let mut options = self.options.unwrap_or_else(|| Options::new(settings.work_dir.to_string_lossy()));
        if self.remove_images {
            options.image_record.get_or_insert_with(|| settings.work_dir.join("images.json"));
        }
        let engine = DockerEngine::connect(&self.docker, options).await?;
        let saving = engine.saving();
        let path = self.cache_dir.unwrap_or_else(|| settings.work_dir.join("caches"));
        let caches = open_caches(&path).map_err(|source| DockerWorkerError::Caches { path, source })?;
        let (tls, tunnel) = (self.live_log_tls.as_ref(), self.tunnel.as_ref());
        let address = self.live_log_address;
        let entrance = worker_kit::entrance(address, self.live_log_url, tls, tunnel, &identity, "log")?;
        let live_log = LiveLog::at(entrance).await;
        let live_log =
            live_log.map_err(|source| DockerWorkerError::LiveLog { address, source })?.reading::<ReadableLog>();
        let address = self.shell_address;
        let entrance = worker_kit::entrance(address, self.shell_url, tls, tunnel, &identity, "shell")?;
        let interactive = Interactive::at(entrance).await;
        let interactive = interactive.map_err(|source| DockerWorkerError::Shells { address, source })?;
        let mut env = Env::default().with("TASKCLUSTER_WORKER_TYPE", identity.task_queue_id.worker_type());
        for (name, value) in self.env {
            env = env.with(name, value);
        }
        let mut builder = Worker::builder(root_url, identity, engine, settings)
            .caches(caches.clone())
            .plugin(env)
            .plugin(MaxRunTime::new(self.max_run_time))
            .plugin(MaxSilence::new(self.max_silence))
            .plugin(exit_status())
            .plugin(Caches::new(caches))
            .plugin(Proxy::default())
            .plugin(artifacts())
            .plugin(saving)
            .plugin(backing_log().every(self.log_interval))
            .plugin(live_log)
            // Web interfaces of today have the second page only, those of docker-worker's time the first.
            .plugin(interactive.linger(self.linger).pages([ShellPage::DockerWorker, ShellPage::GenericWorker]))
            .plugin(self.chain_of_trust);
        if let Some(limits) = self.memory_guard {
            builder = builder.plugin(MemoryGuard::new(limits));
        }
        Ok(builder)
    }

    /// The schema of the payloads that Docker workers take.
    ///
    /// # Panics
    /// Never: the parts are known to fit together.
    #[must_use]
    pub fn payload_schema() -> Value {
        let parts: [(&str, PayloadPart); 13] = [
            ("docker", DockerEngine::payload_part()),
            ("env", Env::default().payload()),
            ("max-run-time", MaxRunTime::default().payload()),
            ("max-silence", MaxSilence::default().payload()),
            ("exit-status", exit_status().payload()),
            ("caches", Caches::payload_part()),
            ("proxy", Proxy::default().payload()),
            ("artifacts", artifacts().payload()),
            ("docker-save", DockerSave::payload_part()),
            ("task-log", backing_log().payload()),
            ("live-log", PayloadPart::of::<ReadableLog>()),
            ("interactive", Interactive::payload_part()),
            ("chain-of-trust", ChainOfTrust::new(None).payload()),
        ];
        PayloadSchema::compose(parts).expect("the parts fit together").as_value().clone()
    }
}

/// A directory of caches that no other user of this machine can reach: within, whoever a container is may write.
fn open_caches(path: &Path) -> io::Result<CacheStore> {
    use std::os::unix::fs::PermissionsExt;
    let caches = CacheStore::open(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    Ok(caches)
}

fn exit_status() -> ExitStatus {
    ExitStatus::reading::<RetryOnExitStatus>()
}

fn artifacts() -> Artifacts {
    Artifacts::reading::<ArtifactsByName>()
}

fn backing_log() -> BackingLog {
    BackingLog::reading::<KeptLog>()
}
