//! A worker being put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::credentials::{Credentials, CredentialsProvider};
use taskcluster_core::transport::Transport;
use taskcluster_core::{CallerBuilder, RetryPolicy};

use super::{Inner, Settings, Worker, WorkerError};
use crate::caches::CacheStore;
use crate::engine::Engine;
use crate::events::EventSink;
use crate::identity::Identity;
use crate::overseer::Overseer;
use crate::payload::PayloadSchema;
use crate::plugin::Plugin;

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
    overseer: Option<Arc<dyn Overseer>>,
    local: bool,
}

impl WorkerBuilder {
    pub(super) fn new(caller: CallerBuilder, identity: Identity, engine: impl Engine, settings: Settings) -> Self {
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
            overseer: None,
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
        self.overseer = None;
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

    /// Who says how long the worker is needed: asked when it is [idle](Settings::idle_timeout), before it goes. Default: nobody is
    /// asked.
    #[must_use]
    pub fn overseer(mut self, overseer: impl Overseer) -> Self {
        self.overseer = Some(Arc::new(overseer));
        self
    }

    /// Build the worker.
    ///
    /// # Errors
    /// Its parts do not fit together, or the root URL is none.
    pub fn build(self) -> Result<Worker, WorkerError> {
        let parts = std::iter::once((self.engine.name(), self.engine.payload()))
            .chain(self.plugins.iter().map(|plugin| (plugin.name(), plugin.payload())));
        let schema = PayloadSchema::compose(parts)?.refusing(self.settings.all_refused());
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
                overseer: self.overseer,
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
