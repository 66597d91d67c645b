//! What can be said of a native worker before it is built.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::events::Bus;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::transport::Transport;
use taskcluster_worker::Settings;
use taskcluster_worker::events::EventSink;
use taskcluster_worker::plugins::{ChainOfTrust, Linger, MemoryLimits, MountLimits};
use taskcluster_worker::tunnel::TunnelServer;
use url::Url;

use crate::devices::LoopbackDevices;
use crate::isolation::Isolation;
use crate::limits::Limits;

/// Puts a native worker together.
#[derive(Clone)]
pub struct NativeWorkerBuilder {
    pub(super) root_url: String,
    pub(super) task_queue_id: TaskQueueId,
    pub(super) worker_group: String,
    pub(super) worker_id: String,
    pub(super) credentials: Option<Credentials>,
    pub(super) transport: Option<Transport>,
    pub(super) clock: Option<SharedClock>,
    pub(super) events: Option<EventSink>,
    pub(super) bus: Option<Arc<dyn Bus>>,
    pub(super) isolation: Isolation,
    pub(super) settings: Settings,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) cache_scope: String,
    pub(super) mount_limits: MountLimits,
    pub(super) max_run_time: Duration,
    pub(super) max_silence: Option<Duration>,
    pub(super) memory_guard: Option<MemoryLimits>,
    pub(super) limits: Limits,
    pub(super) spare_users: Option<usize>,
    pub(super) run_task_as_current_user: bool,
    pub(super) loopback_devices: LoopbackDevices,
    pub(super) docker_bridge: Option<String>,
    pub(super) live_log_address: SocketAddr,
    pub(super) live_log_url: Option<Url>,
    pub(super) shell_address: SocketAddr,
    pub(super) shell_url: Option<Url>,
    pub(super) linger: Linger,
    pub(super) chain_of_trust: ChainOfTrust,
    /// Certificate and key.
    pub(super) live_log_tls: Option<(PathBuf, PathBuf)>,
    pub(super) tunnel: Option<TunnelServer>,
    pub(super) log_interval: Option<Duration>,
    pub(super) env: Vec<(String, String)>,
    pub(super) only_shells: bool,
    pub(super) keep_in: Option<PathBuf>,
}

impl NativeWorkerBuilder {
    pub(super) fn new(root_url: String, task_queue_id: TaskQueueId) -> Self {
        Self {
            root_url,
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
            run_task_as_current_user: false,
            loopback_devices: LoopbackDevices::default(),
            docker_bridge: None,
            live_log_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            live_log_url: None,
            shell_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shell_url: None,
            linger: Linger::default(),
            chain_of_trust: ChainOfTrust::new(None),
            live_log_tls: None,
            tunnel: None,
            log_interval: None,
            env: Vec::new(),
            only_shells: false,
            keep_in: None,
        }
    }

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

    /// Environment variables of every task, which payloads cannot override. Default: none beside
    /// [those that every task has](taskcluster_worker::plugins::Env).
    #[must_use]
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(variables);
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

    /// What a task may take. Default: 512 processes for each processor.
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

    /// Whether tasks may run as the user of the worker, see [`NativeEngine::with_run_task_as_current_user`](crate::NativeEngine::with_run_task_as_current_user). Nothing signs for any task
    /// then: such a task could read the key. Default: no.
    #[must_use]
    pub fn run_task_as_current_user(mut self, allow: bool) -> Self {
        self.run_task_as_current_user = allow;
        self
    }

    /// The loopback devices that tasks with the scopes may have, each for itself. Default: none.
    #[must_use]
    pub fn loopback_devices(mut self, devices: LoopbackDevices) -> Self {
        self.loopback_devices = devices;
        self
    }

    /// The network interface on which a task's containers reach its proxy, where it asks for that. Default: `docker0`.
    #[must_use]
    pub fn docker_bridge(mut self, interface: impl Into<String>) -> Self {
        self.docker_bridge = Some(interface.into());
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

    /// Run no commands, see [`NativeEngine::with_only_shells`](crate::NativeEngine::with_only_shells).
    #[must_use]
    pub fn only_shells(mut self) -> Self {
        self.only_shells = true;
        self
    }

    /// Make the directories of tasks in this one, which nobody else uses, and leave them there when they have ended, see
    /// [`NativeEngine::with_kept_directories`](crate::NativeEngine::with_kept_directories).
    #[must_use]
    pub fn keep_in(mut self, dir: impl Into<PathBuf>) -> Self {
        self.keep_in = Some(dir.into());
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

    /// What signs for tasks with `features.chainOfTrust`. Default: nothing. It signs for nothing where a task could
    /// read its key: with isolation `none`, or where tasks [may run as the worker's user](Self::run_task_as_current_user).
    #[must_use]
    pub fn chain_of_trust(mut self, chain_of_trust: ChainOfTrust) -> Self {
        self.chain_of_trust = chain_of_trust;
        self
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
