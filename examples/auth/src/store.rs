//! Where clients, roles and the audit trail are kept.
//!
//! Each change is one transaction that also writes the entry of the audit trail and the message to publish; so nothing
//! changes unseen, and nothing is told that did not happen. A change names the version it was made from and is refused
//! if somebody was faster: whoever asked decides again on what is there now. No method hands out a transaction.
//!
//! Entries of the trail become visible in the order of their positions. That makes the trail the list of what to read
//! again: who has everything up to one position needs only what [`changes_since`](Store::changes_since) names.

use std::fmt;

use async_trait::async_trait;
use service_kit::outbox;
use service_kit::store::Schema;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

use crate::client::Client;
use crate::history::{Entry, Of, Record};
use crate::role::{Role, Roles};
use crate::seal::SealError;

#[cfg(test)]
mod contract;
mod implementation;
mod message;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "auth",
    &[("0001_auth.sql", include_str!("../migrations/sqlite/0001_auth.sql")), ("0002_outbox.sql", outbox::SQLITE_TABLE)],
    &[
        ("0001_auth.sql", include_str!("../migrations/postgres/0001_auth.sql")),
        ("0002_outbox.sql", outbox::POSTGRES_TABLE),
    ],
);

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
    /// An access token.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Something that this service did not write.
    #[error("stored scopes are not a list of scopes")]
    Scopes(#[from] serde_json::Error),
}

/// What came of creating something.
#[derive(Clone, Debug, PartialEq)]
pub enum Created<T> {
    /// It is there now.
    New,
    /// Something of that name was there, and is as it was.
    Exists(Box<T>),
}

/// Everything that it takes to judge requests.
#[derive(Debug)]
pub struct Everything {
    /// What comes after this place in the trail may be missing.
    pub position: i64,
    /// All clients.
    pub clients: Vec<Client>,
    /// All roles.
    pub roles: Roles,
}

/// The store of this service.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Everything, at least as new as the position that comes with it.
    async fn everything(&self) -> Result<Everything, StoreError>;

    /// The client of this id.
    async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError>;

    /// Clients whose id starts with `prefix` and comes after `after`, in byte order, at most `limit`.
    async fn clients(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Client>, StoreError>;

    /// Adds a client, unless there is one of its id. Atomic.
    async fn create_client(&self, client: Client, record: Record) -> Result<Created<Client>, StoreError>;

    /// Replaces all but the id and `last_date_used` of a client, if it is still at `client.version`, and counts the
    /// version up. Atomic. Answers whether it did.
    async fn update_client(&self, client: Client, record: Record) -> Result<bool, StoreError>;

    /// Removes a client. Atomic. Answers whether it was there.
    async fn delete_client(&self, client_id: &str, record: Record) -> Result<bool, StoreError>;

    /// Notes when clients were last used. Never moves such a time back; clients that are gone are passed over. Leaves
    /// no trail.
    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError>;

    /// All roles, with the version of the whole.
    async fn roles(&self) -> Result<Roles, StoreError>;

    /// Adds or replaces a role, if the roles are still at `version`, and counts that up. Atomic. Answers whether it
    /// did.
    async fn put_role(&self, version: i64, role: Role, record: Record) -> Result<bool, StoreError>;

    /// Removes a role and counts the version of the roles up, whatever it is: without a role there are fewer cycles.
    /// Atomic. Answers whether it was there.
    async fn delete_role(&self, role_id: &str, record: Record) -> Result<bool, StoreError>;

    /// Entries of the audit trail after the position `after`, oldest first, at most `limit`.
    async fn history(&self, of: &Of, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// All entries of the audit trail after the position `after`, oldest first, at most `limit`.
    async fn changes_since(&self, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Removes clients that are expired and to be deleted then, at most `limit` of them, as `by`. Atomic. Answers
    /// their ids.
    async fn purge_expired_clients(&self, now: Timestamp, by: &str, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Removes entries of the trail from before a time. Answers how many. The newest entry always stays, so that
    /// positions never start over.
    async fn purge_history(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Changes whenever this process has changed something.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Whether other processes may change the same store.
    fn is_shared(&self) -> bool;

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    async fn close(&self);
}
