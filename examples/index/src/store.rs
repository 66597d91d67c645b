//! Where entries are kept, and tasks that are still to be looked at.
//!
//! Each change is one transaction, and when a method returns, it is durable. Time is an argument: an entry that has
//! expired is not there, also before it is removed.

use std::fmt;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

use crate::entry::{Entry, Namespace};
use crate::finished::Finished;
use crate::path::IndexPath;

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

/// Whose migrations these are.
const SERVICE: &str = "index";

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
    #[error("the database holds {0:?}, which is no task id")]
    TaskId(String),
}

/// A task that is still to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its place and the task are all there is")]
pub struct Waiting {
    /// Its place among those that wait.
    pub id: i64,
    /// The task.
    pub finished: Finished,
}

/// What was removed since it had expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing else that expires")]
pub struct Expired {
    /// Entries.
    pub entries: u64,
    /// Namespaces.
    pub namespaces: u64,
}

/// The store of this service.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// What stands under a name.
    async fn find(&self, path: &IndexPath, now: Timestamp) -> Result<Option<Entry>, StoreError>;

    /// What stands under each of these names, where something does, in the order of the names.
    async fn find_all(&self, paths: &[IndexPath], now: Timestamp) -> Result<Vec<Entry>, StoreError>;

    /// Entries right below a namespace whose last word comes after `after`, in byte order, at most `limit`.
    async fn entries(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Namespaces right below another, as [`entries`](Self::entries).
    async fn namespaces(
        &self,
        parent: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Namespace>, StoreError>;

    /// Puts an entry under its name, unless one of a higher rank stands there, and gives what stands there afterwards. The
    /// namespaces above live at least as long. It comes after all others: clocks of several processes do not agree. Atomic.
    async fn insert(&self, entry: Entry, now: Timestamp) -> Result<Entry, StoreError>;

    /// Takes away what stands under a name.
    async fn delete(&self, path: &IndexPath) -> Result<(), StoreError>;

    /// Notes a task that is to be looked at.
    async fn remember(&self, finished: Finished) -> Result<(), StoreError>;

    /// Tasks that are to be looked at, after a place, at most `limit`.
    async fn waiting(&self, after: i64, limit: usize) -> Result<Vec<Waiting>, StoreError>;

    /// Puts what a task wants under its names, unless something stands there that [is preferred](Entry), and forgets that it is
    /// to be looked at. Atomic.
    async fn settle(&self, id: i64, entries: Vec<Entry>, now: Timestamp) -> Result<(), StoreError>;

    /// Removes what has expired, at most `limit` of each kind. Atomic.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<Expired, StoreError>;

    /// Changes whenever this process has changed something.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    async fn close(&self);
}
