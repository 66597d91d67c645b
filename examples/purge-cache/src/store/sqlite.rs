//! Requests in one SQLite file.

use async_trait::async_trait;
use service_kit::store::{Database, Migration, SqliteStore};
use sqlx::SqliteConnection;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::time::Timestamp;

use super::implementation::implement_store;
use super::{Key, Store, StoreError, rows};
use crate::request::PurgeRequest;

/// In the order in which they are applied; never edited after a release.
const MIGRATIONS: &[Migration] = &[("0001_requests.sql", include_str!("../../migrations/sqlite/0001_requests.sql"))];

/// A store in SQLite.
#[derive(Clone, Debug)]
pub struct Sqlite {
    kit: SqliteStore,
}

impl Sqlite {
    /// Opens the database, and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or a newer version of this service wrote it.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { kit: SqliteStore::open(database, super::SERVICE, MIGRATIONS).await? })
    }
}

/// There is one writer: changes take turns by themselves.
async fn begin(_: &mut SqliteConnection) -> Result<(), StoreError> {
    Ok(())
}

implement_store!(Sqlite, begin);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    /// Rows as the first version of this service left them.
    const SAMPLE: &str = include_str!("../../migrations/0001_requests.sample.sql");

    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("purge-cache.db"));
        service_kit::testing::leave(&database, crate::store::SERVICE, &MIGRATIONS[..1], SAMPLE).await;
        contract::the_sample_is_read(&Sqlite::open(&database).await.unwrap()).await;
    }

    mod memory {
        use super::*;

        async fn open() -> Option<(Sqlite, ())> {
            Some((Sqlite::open(&Database::Memory).await.unwrap(), ()))
        }
        contract::suite!(open);
    }

    mod file {
        use super::*;

        async fn open() -> Option<(Sqlite, tempfile::TempDir)> {
            let dir = tempfile::tempdir().unwrap();
            let database = Database::Sqlite(dir.path().join("purge-cache.db"));
            Some((Sqlite::open(&database).await.unwrap(), dir))
        }
        contract::suite!(open);
    }
}
