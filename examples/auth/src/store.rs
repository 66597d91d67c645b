//! Where clients, roles and the audit trail are kept.
//!
//! Each change is one transaction that also writes the entry of the audit trail and the message to publish; so nothing
//! changes unseen, and nothing is told that did not happen. A change names the version it was made from and is refused
//! if somebody was faster: whoever asked decides again on what is there now. No method hands out a transaction.
//!
//! Entries of the trail become visible in the order of their positions, since changes take turns. That makes the trail the list of what
//! to read again: who has everything up to one position needs only what [`changes_since`](Store::changes_since) names.

use std::sync::Arc;

use service_kit::outbox::{Outbox, POSTGRES_TABLE, SQLITE_TABLE};
use service_kit::seal::{SealError, Sealer};
use service_kit::store::{AnyStore, Database, Schema};
use tokio::sync::watch;

use crate::client::Client;
use crate::role::Roles;

mod clients;
#[cfg(test)]
mod contract;
mod message;
#[cfg(all(test, feature = "postgres"))]
mod processes;
mod roles;
mod trail;

/// For tests in which two sealers must be alike.
#[cfg(test)]
const KEY: [u8; 32] = [7; 32];

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "auth",
    &[("0001_auth.sql", include_str!("../migrations/sqlite/0001_auth.sql")), ("0002_outbox.sql", SQLITE_TABLE)],
    &[("0001_auth.sql", include_str!("../migrations/postgres/0001_auth.sql")), ("0002_outbox.sql", POSTGRES_TABLE)],
)
.with_changes_in_turn();

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database.
    #[error(transparent)]
    Kit(#[from] service_kit::store::StoreError),
    /// An access token.
    #[error(transparent)]
    Seal(#[from] SealError),
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

/// The store of this service. Every method fails when the database does. Cloning gives another handle to the same store.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
    sealer: Arc<Sealer>,
}

impl Store {
    /// Opens the database and brings it up to date. Access tokens are sealed in it.
    pub async fn open(database: &Database, sealer: Sealer) -> Result<Self, StoreError> {
        Ok(Self { kit: AnyStore::open(database, &SCHEMA).await?, sealer: Arc::new(sealer) })
    }

    /// Everything, at least as new as the position that comes with it.
    pub async fn everything(&self) -> Result<Everything, StoreError> {
        // The position first: what changes while the rest is read comes after it and is read again.
        let position = self.position().await?;
        Ok(Everything { position, clients: self.all_clients().await?, roles: self.roles().await? })
    }

    /// Changes whenever this process has changed something.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.kit.commits()
    }

    /// Whether other processes may change the same store.
    pub fn is_shared(&self) -> bool {
        self.kit.is_shared()
    }

    /// The messages that are to be published.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.kit.clone())
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}

/// Scopes as they are kept.
fn scopes(scopes: &[String]) -> String {
    serde_json::json!(scopes).to_string()
}
