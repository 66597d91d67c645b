//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::{Database, StoreError};
use service_kit::sweep;
use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_server::index::IndexApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::Api;
use crate::finished::Finished;
use crate::loops::expiry::Expiry;
use crate::loops::hear;
use crate::loops::settle::{SettleError, Settler};
use crate::store::Store;
use crate::tap::Tap;

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where entries are kept.
    pub database: Database,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// The deployment's queue. Links to artifacts are signed with the credentials of this handle, which needs
    /// `queue:get-artifact:*` and `queue:get-task:*`.
    pub queue: Queue,
    /// The bus on which it hears of completed tasks.
    pub hears: Option<Arc<dyn Bus>>,
}

impl Options {
    /// A service that hears of completed tasks only what the queue publishes through its [tap](IndexService::tap).
    pub fn new(frame: Frame, database: Database, authenticator: Arc<dyn Authenticator>, queue: Queue) -> Self {
        Self { frame, database, authenticator, queue, hears: None }
    }

    /// Which listens to this bus: one that keeps messages while nobody does, such as RabbitMQ with a durable queue.
    #[must_use]
    pub fn hearing(mut self, bus: Arc<dyn Bus>) -> Self {
        self.hears = Some(bus);
        self
    }
}

/// An index, ready to run.
#[derive(Debug)]
pub struct IndexService {
    options: Options,
    store: Store,
}

impl IndexService {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let store = Store::open(&options.database).await?;
        Ok(Self { options, store })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same bus, for the queue to publish to: it takes a completed task over once it is in this service's store. For a
    /// bus that keeps nothing by itself.
    pub fn tap(&self, bus: Arc<dyn Bus>) -> Arc<dyn Bus> {
        Arc::new(Tap { bus, store: self.store.clone(), wanted: Finished::binding() })
    }

    /// Does at once what the background would do sooner or later: indexes what is completed, removes what has expired. For
    /// tests that move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        match sweep::catch_up(&self.settler()).await {
            // What the queue does not answer to waits for it.
            Ok(()) | Err(SettleError::Queue(_)) => {}
            Err(SettleError::Store(error)) => return Err(error),
        }
        sweep::catch_up(&self.expiry()).await
    }

    fn settler(&self) -> Settler {
        let clock = Arc::clone(&self.options.frame.clock);
        Settler { store: self.store.clone(), queue: self.options.queue.clone(), clock }
    }

    fn expiry(&self) -> Expiry {
        Expiry { store: self.store.clone(), clock: Arc::clone(&self.options.frame.clock) }
    }
}

impl Service for IndexService {
    fn name(&self) -> &'static str {
        "index"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let Options { frame, queue, authenticator, .. } = &self.options;
        let api = Api { store: self.store.clone(), queue: queue.clone(), clock: Arc::clone(&frame.clock) };
        let api: Arc<dyn IndexApi> = Arc::new(api);
        frame.serve(taskcluster_server::index::router(api), Arc::clone(authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let hearing = self.options.hears.clone().map(|bus| {
            let store = self.store.clone();
            Background::new("index: listener", move |stop| hear::run(store, bus, stop))
        });
        let others = [
            self.options.frame.sweep(self.name(), self.settler()),
            self.options.frame.sweep(self.name(), self.expiry()),
        ];
        hearing.into_iter().chain(others).collect()
    }
}
