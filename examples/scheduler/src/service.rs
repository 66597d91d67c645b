//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::{Database, StoreError};
use service_kit::sweep;
use taskcluster::Caller;
use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_server::scheduler::SchedulerApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::Api;
use crate::loops::act::Act;
use crate::loops::ask::Ask;
use crate::loops::expiry::Expiry;
use crate::loops::hear::Hear;
use crate::loops::take_up::TakeUp;
use crate::messages;
use crate::store::Store;
use crate::submit::Submitter;

/// The identifier of a scheduler that was given no other; the one that task graphs always had.
pub const SCHEDULER_ID: &str = "task-graph-scheduler";

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where graphs are kept.
    pub database: Database,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// How it calls queue and auth, with credentials of its own. It creates tasks with the scopes of their graph, and those must
    /// be among its own.
    pub caller: Caller,
    /// The bus on which it hears of tasks; that of the frame unless there is another, such as RabbitMQ with a durable queue.
    pub hears: Arc<dyn Bus>,
    /// Its identifier: the `schedulerId` of its tasks.
    pub scheduler_id: String,
}

impl Options {
    /// A scheduler of the usual identifier.
    pub fn new(frame: Frame, database: Database, authenticator: Arc<dyn Authenticator>, caller: Caller) -> Self {
        let hears = Arc::clone(&frame.bus);
        Self { frame, database, authenticator, caller, hears, scheduler_id: SCHEDULER_ID.to_owned() }
    }

    /// Which listens to another bus.
    #[must_use]
    pub fn hearing(mut self, bus: Arc<dyn Bus>) -> Self {
        self.hears = bus;
        self
    }

    /// Of another identifier. Schedulers beside each other must have different ones.
    #[must_use]
    pub fn with_scheduler_id(mut self, scheduler_id: impl Into<String>) -> Self {
        self.scheduler_id = scheduler_id.into();
        self
    }
}

/// A scheduler, ready to run.
#[derive(Debug)]
pub struct SchedulerService {
    options: Options,
    store: Store,
}

impl SchedulerService {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let store = Store::open(&options.database, &options.scheduler_id).await?;
        Ok(Self { options, store })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Does at once what the background would do sooner or later: has the queue do what is wanted, asks about what is due,
    /// takes up what was left behind, forgets what has expired. For tests that move the clock.
    ///
    /// # Errors
    /// When the store fails, or the queue does not answer.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        sweep::catch_up(&self.take_up()).await?;
        sweep::catch_up(&self.ask()).await?;
        sweep::catch_up(&self.act()).await?;
        Ok(sweep::catch_up(&self.expiry()).await?)
    }

    fn queue(&self) -> Queue {
        Queue::new(self.options.caller.clone())
    }

    fn submitter(&self) -> Submitter {
        Submitter {
            store: self.store.clone(),
            caller: self.options.caller.clone(),
            scheduler_id: self.options.scheduler_id.as_str().into(),
            clock: Arc::clone(&self.options.frame.clock),
        }
    }

    fn take_up(&self) -> TakeUp {
        TakeUp { submitter: self.submitter() }
    }

    fn act(&self) -> Act {
        Act { store: self.store.clone(), queue: self.queue(), clock: Arc::clone(&self.options.frame.clock) }
    }

    fn ask(&self) -> Ask {
        Ask { store: self.store.clone(), queue: self.queue(), clock: Arc::clone(&self.options.frame.clock) }
    }

    fn expiry(&self) -> Expiry {
        Expiry { store: self.store.clone(), clock: Arc::clone(&self.options.frame.clock) }
    }

    fn hear(&self) -> Hear {
        Hear {
            store: self.store.clone(),
            bus: Arc::clone(&self.options.hears),
            scheduler_id: self.options.scheduler_id.as_str().into(),
            clock: Arc::clone(&self.options.frame.clock),
        }
    }
}

impl Service for SchedulerService {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let Options { frame, authenticator, scheduler_id, .. } = &self.options;
        let api: Arc<dyn SchedulerApi> = Arc::new(Api {
            store: self.store.clone(),
            submitter: self.submitter(),
            scheduler_id: scheduler_id.as_str().into(),
            clock: Arc::clone(&frame.clock),
        });
        frame.serve(taskcluster_server::scheduler::router(api), Arc::clone(authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let frame = &self.options.frame;
        let hear = self.hear();
        vec![
            Background::new("scheduler: listener", move |stop| hear.run(stop)),
            frame.sweep(self.name(), self.act()),
            frame.sweep(self.name(), self.ask()),
            frame.sweep(self.name(), self.take_up()),
            frame.sweep(self.name(), self.expiry()),
            frame.relay(self.name(), self.store.outbox(), &messages::EXCHANGES),
        ]
    }
}
