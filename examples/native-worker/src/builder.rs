//! A native worker put together, for programs that embed one and for this crate's own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use taskcluster::events::Bus;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::transport::Transport;
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::events::EventSink;
use taskcluster_worker::plugins::{
    Artifacts, BackingLog, ChainOfTrust, Env, ExitStatus, Interactive, Linger, LiveLog, MaxRunTime, MaxSilence,
    MemoryGuard, MemoryLimits, MountLimits, Mounts, Proxy, ShellPage,
};
use taskcluster_worker::tunnel::{TunnelError, TunnelServer};
use taskcluster_worker::{
    Done, Identity, PayloadPart, PayloadSchema, Settings, Shutdown, Worker, WorkerBuilder, WorkerError,
};
use url::Url;

use crate::engine::{Limits, NativeEngine};
use crate::isolation::Isolation;
use crate::payload::{KeptLog, ReadableLog};

/// A worker that runs commands on this machine.
///
/// ```no_run
/// use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
///
/// # async fn example(credentials: taskcluster_core::Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = Shutdown::new();
/// let worker = NativeWorker::builder("https://tc.example.com", "local/machine".parse()?)
///     .credentials(credentials)
///     .work_dir("/var/lib/native-worker")
///     .isolation(Isolation::None)
///     .capacity(4)
///     .build()
///     .await?;
/// worker.run(shutdown.clone()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NativeWorker {
    worker: Worker,
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeWorkerError {
    /// Its parts do not fit together.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Caches cannot be kept where they should be.
    #[error("cannot keep caches in {}", .path.display())]
    Caches {
        /// Where.
        path: PathBuf,
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
}

impl NativeWorker {
    /// Begin with a deployment and the task queue to take tasks from.
    pub fn builder(root_url: impl Into<String>, task_queue_id: TaskQueueId) -> NativeWorkerBuilder {
        NativeWorkerBuilder {
            root_url: root_url.into(),
            task_queue_id,
            worker_group: "native".to_owned(),
            worker_id: format!("worker-{}", std::process::id()),
            credentials: None,
            transport: None,
            clock: None,
            events: None,
            bus: None,
            isolation: Isolation::default_for_caller(),
            settings: Settings::new(std::env::temp_dir().join(format!("native-worker-{}", std::process::id()))),
            cache_dir: None,
            cache_scope: "generic-worker:cache:".to_owned(),
            mount_limits: MountLimits::default(),
            max_run_time: Duration::from_secs(24 * 60 * 60),
            max_silence: None,
            memory_guard: Some(MemoryLimits::default()),
            limits: Limits::default(),
            spare_users: None,
            live_log_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            live_log_url: None,
            shell_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shell_url: None,
            linger: Linger::default(),
            chain_of_trust: ChainOfTrust::new(None),
            live_log_tls: None,
            tunnel: None,
            log_interval: None,
            only_shells: false,
        }
    }

    /// Claim and run tasks until `shutdown`, or until the settings say that it is enough.
    ///
    /// # Errors
    /// Nothing can be run at all, or the queue refuses the credentials before it has granted any claim.
    ///
    /// # Cancel safety
    /// Dropping the future kills what runs and reports nothing: use `shutdown`.
    pub async fn run(&self, shutdown: impl Into<Shutdown>) -> Result<Done, WorkerError> {
        self.worker.run(shutdown).await
    }

    /// The schema of the payloads that native workers take.
    ///
    /// # Panics
    /// Never: the parts are known to fit together.
    #[must_use]
    pub fn payload_schema() -> Value {
        use taskcluster_worker::{Engine, Plugin};
        let engine = NativeEngine::new("/", Isolation::None);
        let parts: [(&str, PayloadPart); 12] = [
            (engine.name(), engine.payload()),
            (Env::default().name(), Env::default().payload()),
            (MaxRunTime::default().name(), MaxRunTime::default().payload()),
            (ExitStatus::default().name(), ExitStatus::default().payload()),
            ("mounts", Mounts::payload_part()),
            (Artifacts::default().name(), Artifacts::default().payload()),
            (Proxy::default().name(), Proxy::default().payload()),
            (MaxSilence::default().name(), MaxSilence::default().payload()),
            ("task-log", PayloadPart::of::<KeptLog>()),
            ("live-log", PayloadPart::of::<ReadableLog>()),
            ("interactive", Interactive::payload_part()),
            ("chain-of-trust", ChainOfTrust::new(None).payload()),
        ];
        PayloadSchema::compose(parts).expect("the parts fit together").as_value().clone()
    }
}

/// Puts a native worker together.
#[derive(Clone)]
pub struct NativeWorkerBuilder {
    root_url: String,
    task_queue_id: TaskQueueId,
    worker_group: String,
    worker_id: String,
    credentials: Option<Credentials>,
    transport: Option<Transport>,
    clock: Option<SharedClock>,
    events: Option<EventSink>,
    bus: Option<Arc<dyn Bus>>,
    isolation: Isolation,
    settings: Settings,
    cache_dir: Option<PathBuf>,
    cache_scope: String,
    mount_limits: MountLimits,
    max_run_time: Duration,
    max_silence: Option<Duration>,
    memory_guard: Option<MemoryLimits>,
    limits: Limits,
    spare_users: Option<usize>,
    live_log_address: SocketAddr,
    live_log_url: Option<Url>,
    shell_address: SocketAddr,
    shell_url: Option<Url>,
    linger: Linger,
    chain_of_trust: ChainOfTrust,
    /// Certificate and key.
    live_log_tls: Option<(PathBuf, PathBuf)>,
    tunnel: Option<TunnelServer>,
    log_interval: Option<Duration>,
    only_shells: bool,
}

impl NativeWorkerBuilder {
    /// The worker's own credentials. They need `queue:claim-work:<task queue>` and `queue:worker-id:<group>/<id>`;
    /// `queue:claim-task:<task queue>` to give back at its start what it was running when it was killed; and
    /// `purge-cache:purge-requests::<task queue>` to hear which caches are to be dropped.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The group of workers that it belongs to. Default `native`.
    #[must_use]
    pub fn worker_group(mut self, worker_group: impl Into<String>) -> Self {
        self.worker_group = worker_group.into();
        self
    }

    /// Its name, unique in the group. Default: made of the process id.
    #[must_use]
    pub fn worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = worker_id.into();
        self
    }

    /// As whom tasks run. Default: a user per task if the caller is root, else the caller.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Tasks at once. Default 1.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity;
        self
    }

    /// Where tasks get their directories, and the worker keeps its own files. Used by one worker at a time.
    /// Default: a directory of the process below the system's temporary one.
    #[must_use]
    pub fn work_dir(mut self, work_dir: impl Into<PathBuf>) -> Self {
        self.settings.work_dir = work_dir.into();
        self
    }

    /// Claim only while so many bytes are free where the work directory and the caches are; caches that no task uses are removed
    /// for that. Default 0: claim as long as anything works.
    #[must_use]
    pub fn required_disk_space(mut self, bytes: u64) -> Self {
        self.settings.required_disk_space = bytes;
        self
    }

    /// Where caches are kept; several workers may share it. Default: in the work directory.
    #[must_use]
    pub fn cache_dir(mut self, cache_dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(cache_dir.into());
        self
    }

    /// What a cache's name is appended to for the scope that using it takes. Default `generic-worker:cache:`.
    #[must_use]
    pub fn cache_scope(mut self, cache_scope: impl Into<String>) -> Self {
        self.cache_scope = cache_scope.into();
        self
    }

    /// How much a task may mount. Default: 64 GiB in four million files, of a disk that keeps 1 GiB free.
    #[must_use]
    pub fn mount_limits(mut self, limits: MountLimits) -> Self {
        self.mount_limits = limits;
        self
    }

    /// The longest that tasks may ask to run. Default: a day.
    #[must_use]
    pub fn max_run_time(mut self, max_run_time: Duration) -> Self {
        self.max_run_time = max_run_time;
        self
    }

    /// How long a task may print nothing whose payload does not say it. Default: as long as it runs.
    #[must_use]
    pub fn max_silence(mut self, max_silence: Duration) -> Self {
        self.max_silence = Some(max_silence);
        self
    }

    /// When the task that holds the most memory is ended, for the machine to go on; `None`: never. Default: when more than
    /// 90 % of the machine's memory has been used, and less than 500 MiB available, for five seconds.
    #[must_use]
    pub fn memory_guard(mut self, limits: Option<MemoryLimits>) -> Self {
        self.memory_guard = limits;
        self
    }

    /// What a task may take. Default: 512 processes for each processor, where it is a user of its own.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many users are kept ready for tasks to come, with isolation [`Isolation::User`]. Default: as many as the capacity.
    #[must_use]
    pub fn spare_users(mut self, users: usize) -> Self {
        self.spare_users = Some(users);
        self
    }

    /// Where live logs are served. Default: any port of the loopback interface.
    #[must_use]
    pub fn live_log_address(mut self, address: SocketAddr) -> Self {
        self.live_log_address = address;
        self
    }

    /// Where viewers find the live logs, if not at that address.
    #[must_use]
    pub fn live_log_url(mut self, url: Url) -> Self {
        self.live_log_url = Some(url);
        self
    }

    /// Where shells in tasks with `features.interactive` are served. Default: any port of the loopback interface.
    #[must_use]
    pub fn shell_address(mut self, address: SocketAddr) -> Self {
        self.shell_address = address;
        self
    }

    /// Where visitors find the shells, if not at that address.
    #[must_use]
    pub fn shell_url(mut self, url: Url) -> Self {
        self.shell_url = Some(url);
        self
    }

    /// How long a task that allows shells stays once its commands have ended.
    #[must_use]
    pub fn linger(mut self, linger: Linger) -> Self {
        self.linger = linger;
        self
    }

    /// Run no commands, see [`NativeEngine::with_only_shells`].
    #[must_use]
    pub fn only_shells(mut self) -> Self {
        self.only_shells = true;
        self
    }

    /// Serve the live logs, and shells, by TLS, with a certificate chain and its key in files of PEM, which may change meanwhile.
    #[must_use]
    pub fn live_log_tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.live_log_tls = Some((certificate.into(), key.into()));
        self
    }

    /// Have viewers of live logs and shells come in through a tunnel, where they cannot reach this machine. Nothing is listened on
    /// then, and addresses, URLs and certificates of theirs do not count.
    #[must_use]
    pub fn tunnel(mut self, server: TunnelServer) -> Self {
        self.tunnel = Some(server);
        self
    }

    /// How often the log is uploaded as far as it has come; zero: only at the end of the run. Default: each minute.
    #[must_use]
    pub fn log_interval(mut self, interval: Duration) -> Self {
        self.log_interval = Some(interval);
        self
    }

    /// Go when this many tasks have been run.
    #[must_use]
    pub fn task_limit(mut self, tasks: u64) -> Self {
        self.settings.task_limit = Some(tasks);
        self
    }

    /// Go when there was nothing to do for so long.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.settings.idle_timeout = Some(time);
        self
    }

    /// Whether log and artifacts go to the object service instead of the queue's own storage. Default: no.
    #[must_use]
    pub fn object_artifacts(mut self, object: bool) -> Self {
        self.settings.object_artifacts = object;
        self
    }

    /// Change any other setting.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Who is told what happens: claimed, started, log, resolved.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = Some(events);
        self
    }

    /// Where the queue's events are heard, so that it need not be asked for cancellations each second.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// How requests travel. Default: HTTP.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The clock. Default: that of the system.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What signs for tasks with `features.chainOfTrust`. Default: nothing; with isolation `none` a task could read its key.
    #[must_use]
    pub fn chain_of_trust(mut self, chain_of_trust: ChainOfTrust) -> Self {
        self.chain_of_trust = chain_of_trust;
        self
    }

    /// Build the worker, and listen for viewers of live logs.
    ///
    /// # Errors
    /// Caches or live logs cannot be had, or the root URL is none.
    pub async fn build(self) -> Result<NativeWorker, NativeWorkerError> {
        Ok(NativeWorker { worker: self.into_worker_builder().await?.build()? })
    }

    /// Engine and plugins in the builder of any worker, for those who want to add to it. Listens for viewers of live logs.
    ///
    /// # Errors
    /// Caches or live logs cannot be had.
    pub async fn into_worker_builder(self) -> Result<WorkerBuilder, NativeWorkerError> {
        let cache_dir = self.cache_dir.unwrap_or_else(|| self.settings.work_dir.join("caches"));
        let caches = CacheStore::open(&cache_dir)
            .map_err(|source| NativeWorkerError::Caches { path: cache_dir.clone(), source })?;
        let caches = match &self.clock {
            Some(clock) => caches.with_clock(clock.clone()),
            None => caches,
        };
        let identity = Identity::new(self.task_queue_id, self.worker_group, self.worker_id);
        let (tls, tunnel) = (self.live_log_tls.as_ref(), self.tunnel.as_ref());
        let address = self.live_log_address;
        let entrance = worker_kit::entrance(address, self.live_log_url, tls, tunnel, &identity, "log")?;
        let live_log = LiveLog::at(entrance).await;
        let live_log =
            live_log.map_err(|source| NativeWorkerError::LiveLog { address, source })?.reading::<ReadableLog>();
        let backing_log = BackingLog::reading::<KeptLog>();
        let address = self.shell_address;
        let entrance = worker_kit::entrance(address, self.shell_url, tls, tunnel, &identity, "shell")?;
        let interactive = Interactive::at(entrance).await;
        let interactive = interactive.map_err(|source| NativeWorkerError::Shells { address, source })?;
        let backing_log = match self.log_interval {
            Some(interval) => backing_log.every(interval),
            None => backing_log,
        };
        let mut engine = NativeEngine::new(self.settings.work_dir.join("tasks"), self.isolation)
            .with_limits(self.limits)
            .with_spare_users(self.spare_users.unwrap_or(self.settings.capacity));
        if self.only_shells {
            engine = engine.with_only_shells();
        }
        // A key that the task can read signs for nothing.
        let chain_of_trust = match self.isolation {
            Isolation::User => self.chain_of_trust,
            Isolation::None => ChainOfTrust::new(None),
        };
        let mut builder = Worker::builder(self.root_url, identity, engine, self.settings)
            .caches(caches.clone())
            .plugin(Env::default())
            .plugin(MaxRunTime::new(self.max_run_time))
            .plugin(MaxSilence::new(self.max_silence))
            .plugin(ExitStatus::default())
            .plugin(Mounts::new(caches, self.cache_scope).limits(self.mount_limits))
            .plugin(Proxy::default())
            .plugin(Artifacts::default())
            .plugin(backing_log)
            .plugin(live_log)
            .plugin(interactive.linger(self.linger).pages([ShellPage::GenericWorker]))
            .plugin(chain_of_trust);
        if let Some(limits) = self.memory_guard {
            builder = builder.plugin(MemoryGuard::new(limits));
        }
        if let Some(credentials) = self.credentials {
            builder = builder.credentials(credentials);
        }
        if let Some(transport) = self.transport {
            builder = builder.transport(transport);
        }
        if let Some(clock) = self.clock {
            builder = builder.clock(clock);
        }
        if let Some(events) = self.events {
            builder = builder.events(events);
        }
        if let Some(bus) = self.bus {
            builder = builder.bus(bus);
        }
        Ok(builder)
    }
}

impl std::fmt::Debug for NativeWorkerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeWorkerBuilder")
            .field("root_url", &self.root_url)
            .field("task_queue_id", &self.task_queue_id)
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}
