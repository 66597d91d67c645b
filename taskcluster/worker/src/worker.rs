//! A worker: an engine, plugins, and who it is.

use std::fmt;
use std::sync::Arc;

use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::SharedCredentials;
use taskcluster_core::{Caller, CallerBuilder};

use crate::caches::CacheStore;
use crate::engine::Engine;
use crate::events::{Event, EventSink};
use crate::identity::Identity;
use crate::lifecycle;
use crate::overseer::Overseer;
use crate::payload::PayloadSchema;
use crate::plugin::Plugin;
use crate::shutdown::Shutdown;

mod builder;
mod done;
mod error;
mod settings;

pub use builder::WorkerBuilder;
pub use done::{Done, WhyDone};
pub use error::WorkerError;
pub use settings::Settings;

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
    pub(crate) overseer: Option<Arc<dyn Overseer>>,
    /// No queue waits for the ends of its runs.
    pub(crate) local: bool,
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
