//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::{Database, StoreError};
use service_kit::sweep;
use taskcluster_server::purge_cache::PurgeCacheApi;
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
    /// Where requests are kept.
    pub database: Database,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
}

impl Options {
    /// A service with these parts.
    pub fn new(frame: Frame, database: Database, authenticator: Arc<dyn Authenticator>) -> Self {
        Self { frame, database, authenticator }
    }
}

/// A purge-cache service, ready to run.
#[derive(Debug)]
pub struct PurgeCacheService {
    options: Options,
    store: Store,
}

impl PurgeCacheService {
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

    /// Does at once what the background would do sooner or later: removes what has expired. For tests that move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        sweep::catch_up(&self.expiry()).await
    }

    fn expiry(&self) -> Expiry {
        Expiry { store: self.store.clone(), clock: Arc::clone(&self.options.frame.clock) }
    }
}

impl Service for PurgeCacheService {
    fn name(&self) -> &'static str {
        "purge-cache"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let Options { frame, authenticator, .. } = &self.options;
        let api: Arc<dyn PurgeCacheApi> = Arc::new(Api { store: self.store.clone(), clock: Arc::clone(&frame.clock) });
        frame.serve(taskcluster_server::purge_cache::router(api), Arc::clone(authenticator))
    }

    fn background(&self) -> Vec<Background> {
        vec![self.options.frame.sweep(self.name(), self.expiry())]
    }
}
