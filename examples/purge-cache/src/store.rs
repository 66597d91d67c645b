//! Where requests are kept: one for each cache of each worker pool, the newest.
//!
//! Each change is one transaction, and when a method returns, it is durable. Which requests are still open is for the caller
//! to say: those made at some time or later.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::time::Timestamp;

use crate::request::PurgeRequest;

#[cfg(test)]
mod contract;
mod implementation;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// Whose migrations these are. Databases are named like this too, so without a dash.
const SERVICE: &str = "purge_cache";

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// What the services share on top of the database.
    #[error("the store failed")]
    Store(#[from] service_kit::store::StoreError),
    /// Something that this service did not write.
    #[error("the database holds {0:?}, which is no worker pool")]
    WorkerPool(String),
}

/// What a request is kept under. They are in order: by worker pool, then by name, each by its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(String, String);

impl Key {
    /// That of a request.
    #[must_use]
    pub fn of(request: &PurgeRequest) -> Self {
        Self(request.worker_pool.to_string(), request.cache_name.clone())
    }
}

/// The store of this service.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Keeps a request in place of an older one for the same cache. A newer one, as of a process whose clock is ahead, stays.
    async fn put(&self, request: PurgeRequest) -> Result<(), StoreError>;

    /// Requests for a pool that were made at `since` or later, by name.
    async fn of_pool(&self, worker_pool: &TaskQueueId, since: Timestamp) -> Result<Vec<PurgeRequest>, StoreError>;

    /// Requests for any pool that were made at `since` or later, in order, those behind `after`, at most `limit`.
    async fn all(&self, after: &Key, limit: usize, since: Timestamp) -> Result<Vec<PurgeRequest>, StoreError>;

    /// Removes requests made earlier than `since`, at most `limit`, and says how many. Atomic.
    async fn expire(&self, since: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    async fn close(&self);
}
