//! A worker: an engine, plugins, and who it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::credentials::{Credentials, CredentialsProvider, SharedCredentials};
use taskcluster_core::transport::Transport;
use taskcluster_core::{Caller, CallerBuilder, RetryPolicy};

use crate::caches::CacheStore;
use crate::engine::Engine;
use crate::events::{Event, EventSink};
use crate::identity::Identity;
use crate::lifecycle;
use crate::payload::{PayloadConflict, PayloadSchema};
use crate::plugin::Plugin;
use crate::shutdown::Shutdown;

/// Claims tasks and runs them. See [`Worker::builder`].
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) identity: Arc<Identity>,
    pub(crate) queue: Queue,
    pub(crate) caller: Caller,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) schema: PayloadSchema,
    pub(crate) clock: SharedClock,
    pub(crate) settings: Settings,
    pub(crate) events: Option<EventSink>,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) caches: Option<CacheStore>,
    /// No queue waits for the ends of its runs.
    pub(crate) local: bool,
}

/// How a worker behaves.
///
/// ```
/// use std::time::Duration;
/// use taskcluster_worker::Settings;
///
/// let settings = Settings::new("/var/lib/my-worker").with_capacity(4).with_idle_timeout(Duration::from_secs(600));
/// assert_eq!(settings.capacity, 4);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Runs at once. Default 1.
    pub capacity: usize,
    /// The worker's own files: logs of the runs and what plugins keep beside them. Tasks should not be able to read it.
    pub work_dir: PathBuf,
    /// Go when this many tasks have been run. Default: never.
    pub task_limit: Option<u64>,
    /// Go when there was nothing to do for so long. Default: never.
    pub idle_timeout: Option<Duration>,
    /// How often the queue is asked whether running tasks have been cancelled, where no events are heard. Default: each second.
    pub cancel_poll: Duration,
    /// How long to wait before the next claim after a fault of the worker's own; doubles with each in a row. Default 5 s.
    pub backoff: Duration,
    /// The most that the wait grows to. Default 5 minutes.
    pub backoff_limit: Duration,
    /// Give runs back, at the start, that the queue believes this worker to be running. Default: yes.
    pub recover_claims: bool,
    /// Upload log and artifacts to the object service (storage type `object`), which keeps their checksums, instead of the
    /// queue's own storage. Default: no.
    pub object_artifacts: bool,
    /// Claim only while this many bytes are free where the work directory and the caches are; caches that nobody uses are
    /// removed for that, the least recently used first. Default 0: as long as anything works.
    pub required_disk_space: u64,
    /// After so many runs in a row in which the worker itself was at fault, it asks the queue to keep tasks from it for so long.
    /// Its client needs `queue:quarantine-worker:<task queue>/<worker group>/<worker id>` for that. Default: never.
    pub quarantine: Option<(u32, Duration)>,
}

impl Settings {
    /// The defaults, with the worker's own files in `work_dir`.
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        Self {
            capacity: 1,
            work_dir: work_dir.into(),
            task_limit: None,
            idle_timeout: None,
            cancel_poll: Duration::from_secs(1),
            backoff: Duration::from_secs(5),
            backoff_limit: Duration::from_secs(5 * 60),
            recover_claims: true,
            object_artifacts: false,
            required_disk_space: 0,
            quarantine: None,
        }
    }

    /// Run so many tasks at once.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Go when so many tasks have been run.
    #[must_use]
    pub fn with_task_limit(mut self, tasks: u64) -> Self {
        self.task_limit = Some(tasks);
        self
    }

    /// Go when there was nothing to do for so long.
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

    /// Ask for cancellations so often.
    #[must_use]
    pub fn with_cancel_poll(mut self, time: Duration) -> Self {
        self.cancel_poll = time;
        self
    }

    /// Wait so long after a fault of the worker's own, at most `limit` after several.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, limit: Duration) -> Self {
        self.backoff = first;
        self.backoff_limit = limit;
        self
    }

    /// Whether to upload log and artifacts to the object service.
    #[must_use]
    pub fn with_object_artifacts(mut self, object: bool) -> Self {
        self.object_artifacts = object;
        self
    }

    /// Claim only while so many bytes are free.
    #[must_use]
    pub fn with_required_disk_space(mut self, bytes: u64) -> Self {
        self.required_disk_space = bytes;
        self
    }

    /// Get no tasks for `time` after so many faults of the worker's own in a row.
    #[must_use]
    pub fn with_quarantine(mut self, after: u32, time: Duration) -> Self {
        self.quarantine = Some((after, time));
        self
    }

    /// Whether to give back, at the start, what a former life of this worker left running.
    #[must_use]
    pub fn with_recover_claims(mut self, recover: bool) -> Self {
        self.recover_claims = recover;
        self
    }
}

/// Why a worker cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Two of its parts want the same property of the payload.
    #[error(transparent)]
    Payload(#[from] PayloadConflict),
    /// The queue cannot be called with what was given.
    #[error("the queue cannot be called")]
    Caller(#[source] taskcluster_core::Error),
    /// The work directory cannot be used.
    #[error("cannot use the work directory {}", .path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine cannot run tasks here.
    #[error("the engine cannot run tasks here")]
    Engine(#[source] crate::error::Error),
    /// The queue does not accept the worker's credentials, and never has.
    #[error("the queue does not accept the worker's credentials: check its client id and access token")]
    Unauthorized(#[source] taskcluster_core::Error),
    /// The worker's client lacks scopes for claiming tasks, and always has. The source names them.
    #[error("the worker's client may not claim tasks: give it the scopes that it lacks")]
    Forbidden(#[source] taskcluster_core::Error),
}

/// What a worker has done, and why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// Runs that it has claimed and ended.
    pub runs: u64,
    /// Why it stopped.
    pub why: WhyDone,
}

/// Why a worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyDone {
    /// It was told to.
    Shutdown,
    /// It has run as many tasks as it was to run.
    TaskLimit,
    /// There was nothing to do for long enough.
    Idle,
}

impl Worker {
    /// Begin with who the worker is and the engine that runs its tasks.
    pub fn builder(
        root_url: impl Into<String>,
        identity: Identity,
        engine: impl Engine,
        settings: Settings,
    ) -> WorkerBuilder {
        WorkerBuilder::new(Caller::builder(root_url.into()), identity, engine, settings)
    }

    /// The same with root URL and credentials from the usual variables; see [`CallerBuilder::from_env`].
    ///
    /// # Errors
    /// [`WorkerError::Caller`], naming the variable that is missing or wrong.
    pub fn from_env(identity: Identity, engine: impl Engine, settings: Settings) -> Result<WorkerBuilder, WorkerError> {
        let caller = CallerBuilder::from_env().map_err(WorkerError::Caller)?;
        Ok(WorkerBuilder::new(caller, identity, engine, settings))
    }

    /// Claim and run tasks until `shutdown`, or until the settings say that it is enough.
    ///
    /// # Errors
    /// Nothing can be run at all, or the queue refuses the credentials before it has granted any claim. What else goes
    /// wrong with the queue or a task is dealt with and logged.
    ///
    /// # Cancel safety
    /// Dropping the future kills what runs and reports nothing: use `shutdown`.
    pub async fn run(&self, shutdown: impl Into<Shutdown>) -> Result<Done, WorkerError> {
        let (identity, settings) = (self.identity(), self.settings());
        tracing::info!(
            root_url = self.root_url(),
            task_queue.id = %identity.task_queue_id,
            worker.group = identity.worker_group,
            worker.id = identity.worker_id,
            engine = self.inner.engine.name(),
            capacity = settings.capacity,
            work_dir = %settings.work_dir.display(),
            "claiming tasks",
        );
        lifecycle::run(self, &shutdown.into()).await
    }

    /// Who it is to the queue.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The deployment that it takes tasks from.
    #[must_use]
    pub fn root_url(&self) -> &str {
        self.inner.caller.root_url().as_str()
    }

    /// The schema of the payloads that this worker takes.
    #[must_use]
    pub fn payload_schema(&self) -> &PayloadSchema {
        &self.inner.schema
    }
}

impl Inner {
    pub(crate) fn emit(&self, event: Event) {
        if let Some(sink) = &self.events {
            sink(event);
        }
    }

    /// A caller like the worker's own, with the credentials of a task.
    pub(crate) fn caller_of(&self, credentials: SharedCredentials) -> Result<Caller, taskcluster_core::Error> {
        self.caller.to_builder().provider(credentials).build()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("identity", &self.identity)
            .field("root_url", &self.caller.root_url().as_str())
            .field("engine", &self.engine)
            .field("plugins", &self.plugins)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Puts a worker together.
pub struct WorkerBuilder {
    caller: CallerBuilder,
    identity: Identity,
    engine: Arc<dyn Engine>,
    settings: Settings,
    plugins: Vec<Arc<dyn Plugin>>,
    clock: SharedClock,
    events: Option<EventSink>,
    bus: Option<Arc<dyn Bus>>,
    caches: Option<CacheStore>,
    local: bool,
}

impl WorkerBuilder {
    fn new(caller: CallerBuilder, identity: Identity, engine: impl Engine, settings: Settings) -> Self {
        Self {
            caller,
            identity,
            engine: Arc::new(engine),
            settings,
            plugins: Vec::new(),
            clock: SystemClock::shared(),
            events: None,
            bus: None,
            caches: None,
            local: false,
        }
    }

    /// The worker's own credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.caller = self.caller.credentials(credentials);
        self
    }

    /// Where the worker's own credentials come from, if they change.
    #[must_use]
    pub fn provider(mut self, credentials: impl CredentialsProvider + 'static) -> Self {
        self.caller = self.caller.provider(credentials);
        self
    }

    /// Add a plugin. Their order is that of their hooks.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// How requests travel. Default: HTTP.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.caller = self.caller.transport(transport);
        self
    }

    /// How often calls are tried again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.caller = self.caller.retry(retry);
        self
    }

    /// The clock. Default: that of the system.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.caller = self.caller.clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Who is told what happens.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = Some(events);
        self
    }

    /// Where the queue's events are heard. The worker then knows at once of a task that is cancelled, and asks the queue far
    /// less often; without, or while nothing can be heard, it asks as often as [`Settings::cancel_poll`] says.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// A worker of one task, whose former life left nothing.
    pub(crate) fn for_one_local_run(mut self) -> Self {
        self.local = true;
        self.settings.task_limit = Some(1);
        self.settings.recover_claims = false;
        // Nobody cancels it but who started it.
        self.settings.cancel_poll = Duration::from_secs(60 * 60);
        self.settings.object_artifacts = false;
        // What is to be purged is for those who work for others to ask.
        self.caches = None;
        self
    }

    /// The caches that its plugins give to tasks, for it to look after: before tasks begin, it asks the service purge-cache what
    /// is to be dropped (its client needs `purge-cache:purge-requests::<worker pool>`), and it removes some when the
    /// [disk is short](Settings::required_disk_space).
    #[must_use]
    pub fn caches(mut self, caches: CacheStore) -> Self {
        self.caches = Some(caches);
        self
    }

    /// Build the worker.
    ///
    /// # Errors
    /// Its parts do not fit together, or the root URL is none.
    pub fn build(self) -> Result<Worker, WorkerError> {
        let parts = std::iter::once((self.engine.name(), self.engine.payload()))
            .chain(self.plugins.iter().map(|plugin| (plugin.name(), plugin.payload())));
        let schema = PayloadSchema::compose(parts)?;
        let caller = self.caller.build().map_err(WorkerError::Caller)?;
        Ok(Worker {
            inner: Arc::new(Inner {
                identity: Arc::new(self.identity),
                queue: Queue::new(caller.clone()),
                caller,
                engine: self.engine,
                plugins: self.plugins,
                schema,
                clock: self.clock,
                settings: self.settings,
                events: self.events,
                bus: self.bus,
                caches: self.caches,
                local: self.local,
            }),
        })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("identity", &self.identity)
            .field("engine", &self.engine)
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}
