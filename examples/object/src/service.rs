//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::blobs::Buckets;
use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::{Database, StoreError};
use service_kit::sweep;
use taskcluster_server::object::ObjectApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::Api;
use crate::expiry::Expiry;
use crate::store::Store;

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where it is kept what objects there are.
    pub database: Database,
    /// Where their data is kept. Its URLs have to be served by somebody. It may be the queue's place for artifacts.
    pub blobs: Buckets,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
}

impl Options {
    /// A service with these parts.
    pub fn new(
        frame: Frame,
        database: Database,
        blobs: impl Into<Buckets>,
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        Self { frame, database, blobs: blobs.into(), authenticator }
    }
}

/// An object service, ready to run.
#[derive(Debug)]
pub struct ObjectService {
    options: Options,
    store: Store,
    api: Arc<Api>,
}

impl ObjectService {
    /// Opens the store.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let store = Store::open(&options.database).await?;
        let api = Api { store: store.clone(), blobs: options.blobs.clone(), clock: Arc::clone(&options.frame.clock) };
        Ok(Self { options, store, api: Arc::new(api) })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Does at once what the background would do sooner or later: deletes what is to be deleted by now. For tests that
    /// move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        sweep::catch_up(&self.expiry()).await
    }

    fn expiry(&self) -> Expiry {
        Expiry::new(self.store.clone(), self.options.blobs.clone(), Arc::clone(&self.options.frame.clock))
    }
}

impl Service for ObjectService {
    fn name(&self) -> &'static str {
        "object"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let api: Arc<dyn ObjectApi> = Arc::clone(&self.api) as _;
        self.options.frame.serve(taskcluster_server::object::router(api), Arc::clone(&self.options.authenticator))
    }

    fn background(&self) -> Vec<Background> {
        vec![self.options.frame.sweep(self.name(), self.expiry())]
    }
}
