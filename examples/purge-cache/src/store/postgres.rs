//! Requests in PostgreSQL, for several processes at once.

use async_trait::async_trait;
use service_kit::store::{Database, Migration, PostgresStore};
use sqlx::PgConnection;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::time::Timestamp;

use super::implementation::implement_store;
use super::{Key, Store, StoreError, rows};
use crate::request::PurgeRequest;

/// In the order in which they are applied; never edited after a release.
const MIGRATIONS: &[Migration] = &[("0001_requests.sql", include_str!("../../migrations/postgres/0001_requests.sql"))];

/// Names the lock that changes take; any number that nobody else uses in this database.
const CHANGING: i64 = 0x7075_7267;

/// So few: changes are rare, and take turns anyway.
const CONNECTIONS: u32 = 5;

/// A store in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    kit: PostgresStore,
}

impl Postgres {
    /// Connects to the database, and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or a newer version of this service wrote it.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { kit: PostgresStore::open(database, super::SERVICE, MIGRATIONS, CONNECTIONS).await? })
    }
}

/// One change at a time: changes that wait share a transaction, and two of those would wait for each other's rows in any order.
async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CHANGING).execute(connection).await?;
    Ok(())
}

implement_store!(Postgres, begin);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    /// Rows as the first version of this service left them.
    const SAMPLE: &str = include_str!("../../migrations/0001_requests.sample.sql");

    async fn create() -> Option<Database> {
        service_kit::testing::postgres(crate::store::SERVICE).await
    }

    async fn open() -> Option<(Postgres, Database)> {
        let database = create().await?;
        let store = Postgres::open(&database).await.unwrap();
        Some((store, database))
    }
    contract::suite!(open);

    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let Some(database) = create().await else { return };
        service_kit::testing::leave(&database, crate::store::SERVICE, &MIGRATIONS[..1], SAMPLE).await;
        contract::the_sample_is_read(&Postgres::open(&database).await.unwrap()).await;
    }
}
