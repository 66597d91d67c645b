//! Where it is kept what objects there are. Their data is elsewhere.
//!
//! Nobody holds a lock while somebody decides: a change names the object that it was made from, and is refused if that
//! has changed meanwhile. Whoever asked then decides again on what is there now.

use std::fmt;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;

use crate::object::Object;

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
const SERVICE: &str = "object";

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
    #[error("what is stored of object {0:?} cannot be read")]
    Unreadable(String),
}

/// The store of this service.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The object of this name, whatever has become of it.
    async fn object(&self, name: &str) -> Result<Option<Object>, StoreError>;

    /// Adds an object, unless there is one of its name. Atomic. Answers whether it did.
    async fn add(&self, object: Object) -> Result<bool, StoreError>;

    /// Replaces checksums and state of an object, if they are still those of `before`. Atomic. Answers whether it did.
    async fn replace(&self, before: Object, after: Object) -> Result<bool, StoreError>;

    /// Objects that are gone from a time before `before` on, those that went first come first, at most `limit`; after
    /// the given one, which need not be there any more.
    async fn gone(&self, before: Timestamp, after: Option<&Object>, limit: usize) -> Result<Vec<Object>, StoreError>;

    /// Forgets objects. Their data is deleted before, by the caller: so nothing stays behind that nobody knows of.
    async fn forget(&self, objects: Vec<Object>) -> Result<(), StoreError>;

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    async fn close(&self);
}
