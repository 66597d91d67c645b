//! Where requests are kept: one for each cache of each worker pool, the newest.
//!
//! Each change is one transaction, and when a method returns, it is durable. Which requests are still open is for the caller
//! to say: those made at some time or later.

use serde::{Deserialize, Serialize};
use service_kit::store::{AnyStore, Database, Row, Schema, StoreError};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::time::Timestamp;

use crate::request::PurgeRequest;

#[cfg(test)]
mod contract;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "purge_cache",
    &[("0001_requests.sql", include_str!("../migrations/sqlite/0001_requests.sql"))],
    &[("0001_requests.sql", include_str!("../migrations/postgres/0001_requests.sql"))],
)
.with_changes_in_turn();

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

const PUT: &str = "INSERT INTO requests (worker_pool, cache_name, requested) VALUES ($1, $2, $3) \
     ON CONFLICT (worker_pool, cache_name) DO UPDATE SET requested = excluded.requested \
     WHERE requests.requested < excluded.requested";

const SELECT_OF_POOL: &str = "SELECT worker_pool, cache_name, requested FROM requests \
     WHERE worker_pool = $1 AND requested >= $2 ORDER BY cache_name";

const SELECT_ALL: &str = "SELECT worker_pool, cache_name, requested FROM requests \
     WHERE (worker_pool, cache_name) > ($1, $2) AND requested >= $3 ORDER BY worker_pool, cache_name LIMIT $4";

const EXPIRE: &str = "DELETE FROM requests WHERE (worker_pool, cache_name) IN \
     (SELECT worker_pool, cache_name FROM requests WHERE requested < $1 ORDER BY requested LIMIT $2)";

/// The store of this service. Every method fails when the database does.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
}

impl Store {
    /// Opens the database and brings it up to date.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { kit: AnyStore::open(database, &SCHEMA).await? })
    }

    /// Keeps a request in place of an older one for the same cache. A newer one, as of a process whose clock is ahead, stays.
    pub async fn put(&self, request: &PurgeRequest) -> Result<(), StoreError> {
        let (pool, name) = (request.worker_pool.as_str(), request.cache_name.as_str());
        self.kit.run(PUT, &[pool.into(), name.into(), request.before.into()]).await?;
        Ok(())
    }

    /// Requests for a pool that were made at `since` or later, by name.
    pub async fn of_pool(&self, worker_pool: &TaskQueueId, since: Timestamp) -> Result<Vec<PurgeRequest>, StoreError> {
        let rows = self.kit.rows(SELECT_OF_POOL, &[worker_pool.as_str().into(), since.into()]).await?;
        rows.iter().map(request).collect()
    }

    /// Requests for any pool that were made at `since` or later, in order, those behind `after`, at most `limit`.
    pub async fn all(&self, after: &Key, limit: usize, since: Timestamp) -> Result<Vec<PurgeRequest>, StoreError> {
        let Key(pool, name) = after;
        let rows = self.kit.rows(SELECT_ALL, &[pool.into(), name.into(), since.into(), limit.into()]).await?;
        rows.iter().map(request).collect()
    }

    /// Removes requests made earlier than `since`, at most `limit`, and says how many. Atomic.
    pub async fn expire(&self, since: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.kit.run(EXPIRE, &[since.into(), limit.into()]).await
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}

fn request(row: &Row) -> Result<PurgeRequest, StoreError> {
    Ok(PurgeRequest {
        worker_pool: row.parsed("worker_pool")?,
        cache_name: row.text("cache_name")?,
        before: row.time("requested")?,
    })
}
