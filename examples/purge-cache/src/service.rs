//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::Database;
use taskcluster_server::purge_cache::PurgeCacheApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::Api;
use crate::expiry::Expiry;
#[cfg(feature = "postgres")]
use crate::store::Postgres;
use crate::store::{Sqlite, Store, StoreError};

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

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This program was built without it.
    #[error("{0}: this program was built without PostgreSQL; `cargo build --features postgres` has it")]
    NoPostgres(Database),
}

async fn open_store(database: &Database) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match database {
        Database::Sqlite(_) | Database::Memory => Arc::new(Sqlite::open(database).await?),
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => Arc::new(Postgres::open(database).await?),
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => return Err(OpenError::NoPostgres(database.clone())),
    })
}

/// Brings a database up to date and does nothing else.
///
/// # Errors
/// When it cannot be opened, or a newer version of this service wrote it.
pub async fn migrate(database: &Database) -> Result<(), OpenError> {
    open_store(database).await?.close().await;
    Ok(())
}

/// A purge-cache service, ready to run.
#[derive(Debug)]
pub struct PurgeCacheService {
    options: Options,
    store: Arc<dyn Store>,
}

impl PurgeCacheService {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let store = open_store(&options.database).await?;
        Ok(Self { options, store })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Does at once what the background would do sooner or later: removes what has expired. For tests that move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.expiry().step().await.map(drop)
    }

    fn expiry(&self) -> Expiry {
        Expiry { store: Arc::clone(&self.store), clock: Arc::clone(&self.options.frame.clock) }
    }
}

impl Service for PurgeCacheService {
    fn name(&self) -> &'static str {
        "purge-cache"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let Options { frame, authenticator, .. } = &self.options;
        let api: Arc<dyn PurgeCacheApi> =
            Arc::new(Api { store: Arc::clone(&self.store), clock: Arc::clone(&frame.clock) });
        frame.serve(taskcluster_server::purge_cache::router(api), Arc::clone(authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let expiry = self.expiry();
        vec![Background::new("purge-cache: expiry", move |stop| expiry.run(stop))]
    }
}
