//! Where worker types and instances are kept.
//!
//! Definitions and secrets are sealed there: who has the database alone has neither.
//!
//! Each change is one transaction, with the messages that tell of it, and when a method returns, it is durable. What a change comes
//! to is decided elsewhere; here it is written down, if nothing else has happened meanwhile.

use std::sync::Arc;

use service_kit::outbox::Outbox;
use service_kit::seal::Sealer;
use service_kit::store::{AnyStore, Database, Schema, StoreError};
use taskcluster_core::time::Timestamp;

#[cfg(test)]
mod contract;
mod instances;
mod lead;
mod passes;
mod rows;
mod samples;
mod sealed;
mod secrets;
mod worker_types;

pub use instances::{Hint, Wish};
pub use lead::Lead;
pub use passes::Pass;
pub use samples::Sample;
pub use sealed::sealer_for;
pub use secrets::{Found, Put, Secret};
pub use worker_types::{Created, RollError};

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "provisioner",
    &[
        ("0001_worker_types.sql", include_str!("../migrations/sqlite/0001_worker_types.sql")),
        ("0002_outbox.sql", service_kit::outbox::SQLITE_TABLE),
    ],
    &[
        ("0001_worker_types.sql", include_str!("../migrations/postgres/0001_worker_types.sql")),
        #[cfg(feature = "postgres")]
        ("0002_outbox.sql", service_kit::outbox::POSTGRES_TABLE),
    ],
)
.with_changes_in_turn();

/// The store of this service. Every method fails when the database does.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
    sealer: Arc<Sealer>,
}

impl Store {
    /// Opens the database, brings it up to date, and seals in it what is not.
    pub async fn open(database: &Database, sealer: Arc<Sealer>) -> Result<Self, StoreError> {
        let kit = AnyStore::open(database, &SCHEMA).await?;
        if matches!(database, Database::Sqlite(_)) {
            // On the one connection that writes: what is deleted or sealed does not stay in the file.
            kit.run("PRAGMA secure_delete = ON", &[]).await?;
        }
        sealed::bring_up_to_date(&kit, &sealer).await?;
        Ok(Self { kit, sealer })
    }

    /// Forgets what is of no use any more: of instances that ended before `ended` and of secrets that have expired at most `limit`
    /// each, and says how many; and all versions that nothing refers to, and numbers that are too old.
    pub async fn expire(&self, now: Timestamp, ended: Timestamp, limit: usize) -> Result<u64, StoreError> {
        const INSTANCES: &str = "DELETE FROM instances WHERE instance_id IN
             (SELECT instance_id FROM instances WHERE state = 'ended' AND since < $1 ORDER BY since LIMIT $2)";
        const SECRETS: &str = "DELETE FROM secrets WHERE digest IN
             (SELECT digest FROM secrets WHERE expires <= $1 ORDER BY expires LIMIT $2)";
        const VERSIONS: &str = "DELETE FROM versions WHERE NOT EXISTS
                 (SELECT 1 FROM worker_types t WHERE t.name = versions.worker_type
                  AND versions.number IN (t.settled, t.candidate, t.previous))
             AND NOT EXISTS
                 (SELECT 1 FROM instances i WHERE i.worker_type = versions.worker_type AND i.version = versions.number
                  AND i.state <> 'ended')";
        let forgotten: u64 = self
            .kit
            .write(move |sql| {
                Box::pin(async move {
                    let instances = sql.run(INSTANCES, &[ended.into(), limit.into()]).await?;
                    let secrets = sql.run(SECRETS, &[now.into(), limit.into()]).await?;
                    sql.run(VERSIONS, &[]).await?;
                    Ok::<_, StoreError>(instances.max(secrets))
                })
            })
            .await?;
        self.expire_samples(now).await?;
        Ok(forgotten)
    }

    /// What is to be published.
    pub(crate) fn outbox(&self) -> std::sync::Arc<dyn Outbox> {
        std::sync::Arc::new(self.kit.clone())
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}
