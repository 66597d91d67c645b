//! Clients and roles in one SQLite file.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use service_kit::outbox;
use service_kit::store::{Database, SqliteStore};
use sqlx::SqliteConnection;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

use super::implementation::implement_store;
use super::{Created, Everything, SCHEMA, Store, StoreError, message, rows};
use crate::client::Client;
use crate::history::{Action, Entity, Entry, Of, Record};
use crate::role::{Role, Roles};
use crate::seal::Sealer;

/// A store in SQLite.
#[derive(Clone, Debug)]
pub struct Sqlite {
    kit: SqliteStore,
    sealer: Arc<Sealer>,
}

impl Sqlite {
    /// Opens the database, and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or a newer version of this service wrote it.
    pub async fn open(database: &Database, sealer: Sealer) -> Result<Self, StoreError> {
        let kit = SqliteStore::open(database, SCHEMA.service, SCHEMA.sqlite).await?;
        Ok(Self { kit, sealer: Arc::new(sealer) })
    }

    /// The handle underneath, for the relay that publishes the outbox.
    pub fn kit(&self) -> &SqliteStore {
        &self.kit
    }
}

/// There is one writer, so positions become visible in their order by themselves.
async fn begin(_: &mut SqliteConnection) -> Result<(), StoreError> {
    Ok(())
}

implement_store!(Sqlite, SqliteConnection, begin, outbox::insert_sqlite, shared: false);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    /// Rows as the first version of this service left them.
    const SAMPLE: &str = include_str!("../../migrations/0001_auth.sample.sql");

    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("auth.db"));
        service_kit::testing::leave(&database, &SCHEMA.of_version(1), SAMPLE).await;
        let sealer = Sealer::new(&crate::seal::tests::KEY).unwrap();
        contract::the_sample_is_read(&Sqlite::open(&database, sealer).await.unwrap()).await;
    }

    mod memory {
        use super::*;

        async fn open() -> Option<(Sqlite, ())> {
            Some((Sqlite::open(&Database::Memory, Sealer::ephemeral().unwrap()).await.unwrap(), ()))
        }
        contract::suite!(open);
    }

    mod file {
        use super::*;

        async fn open() -> Option<(Sqlite, tempfile::TempDir)> {
            let dir = tempfile::tempdir().unwrap();
            let database = Database::Sqlite(dir.path().join("auth.db"));
            Some((Sqlite::open(&database, Sealer::ephemeral().unwrap()).await.unwrap(), dir))
        }
        contract::suite!(open);
    }
}
