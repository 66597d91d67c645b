//! Clients and roles in PostgreSQL, for several processes at once.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use service_kit::outbox;
use service_kit::store::{Database, PostgresStore};
use sqlx::PgConnection;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

use super::implementation::implement_store;
use super::{Created, Everything, SCHEMA, Store, StoreError, message, rows};
use crate::client::Client;
use crate::history::{Action, Entity, Entry, Of, Record};
use crate::role::{Role, Roles};
use crate::seal::Sealer;

/// Names the lock that changes take; any number that nobody else uses in this database.
const CHANGING: i64 = 0x6175_7468;

/// So few that one of them writes: changes take turns anyway, and those that wait share a transaction.
const CONNECTIONS: u32 = 7;

/// A store in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    kit: PostgresStore,
    sealer: Arc<Sealer>,
}

impl Postgres {
    /// Connects to the database, and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be reached, or a newer version of this service wrote it.
    pub async fn open(database: &Database, sealer: Sealer) -> Result<Self, StoreError> {
        let kit = PostgresStore::open(database, SCHEMA.service, SCHEMA.postgres, CONNECTIONS).await?;
        Ok(Self { kit, sealer: Arc::new(sealer) })
    }

    /// The handle underneath, for the relay that publishes the outbox.
    pub fn kit(&self) -> &PostgresStore {
        &self.kit
    }
}

/// One change at a time: so positions become visible in their order, and no two changes wait for each other's rows.
/// Changes are rare here.
async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CHANGING).execute(connection).await?;
    Ok(())
}

implement_store!(Postgres, PgConnection, begin, outbox::insert_postgres, shared: true);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    /// Rows as the first version of this service left them.
    const SAMPLE: &str = include_str!("../../migrations/0001_auth.sample.sql");

    async fn create() -> Option<Database> {
        service_kit::testing::postgres(SCHEMA.service).await
    }

    async fn open() -> Option<(Postgres, Database)> {
        let database = create().await?;
        let store = Postgres::open(&database, Sealer::ephemeral().unwrap()).await.unwrap();
        Some((store, database))
    }
    contract::suite!(open);

    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let Some(database) = create().await else { return };
        service_kit::testing::leave(&database, &SCHEMA.of_version(1), SAMPLE).await;
        let sealer = Sealer::new(&crate::seal::tests::KEY).unwrap();
        contract::the_sample_is_read(&Postgres::open(&database, sealer).await.unwrap()).await;
    }

    #[tokio::test]
    async fn a_process_hears_what_another_one_changes() {
        use std::time::Duration;

        use service_kit::frame::Frame;
        use service_kit::service::{Loops, Service as _};
        use taskcluster::events::{Bus, MemoryBus};
        use taskcluster_core::clock::{ManualClock, SharedClock, SystemClock};
        use tokio_util::sync::CancellationToken;

        use crate::service::{AuthService, Options};

        let Some(database) = create().await else { return };
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
        let process = async |clock: SharedClock| {
            let sealer = Sealer::new(&crate::seal::tests::KEY).unwrap();
            let frame = Frame::new("http://auth.test", Arc::clone(&bus)).with_clock(clock);
            AuthService::open(Options::new(frame, database.clone(), sealer)).await.unwrap()
        };
        let one = process(SystemClock::shared()).await;
        // By itself it would look at the store when some time has passed, which never happens here.
        let two = process(Arc::new(ManualClock::at(one.backend().clock().now()))).await;
        let stop = CancellationToken::new();
        let loops = [Loops::start(one.background(), &stop), Loops::start(two.background(), &stop)];
        for name in ["a", "b", "c", "d"] {
            one.backend().create_role(name, "a role", &["x".to_owned()], "somebody").await.unwrap();
            let given = [format!("assume:{name}")];
            let heard = async {
                while two.backend().expand(&given).len() < 2 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(120), heard).await.expect(name);
        }
        for running in loops {
            running.stop().await.unwrap();
        }
        one.close().await;
        two.close().await;
    }

    #[tokio::test]
    async fn what_is_read_again_forgets_what_is_no_more() {
        use crate::backend::Backend;
        use taskcluster_core::clock::SystemClock;
        let Some((store, _)) = open().await else { return };
        let kit = store.kit().clone();
        let backend = Backend::open(Arc::new(store), SystemClock::shared()).await.unwrap();
        let given = ["assume:r".to_owned()];
        backend.create_role("r", "a role", &["x".to_owned()], "somebody").await.unwrap();
        // Without a trace in the trail.
        sqlx::query("DELETE FROM roles").execute(kit.pool()).await.unwrap();
        backend.refresh().await.unwrap();
        assert_eq!(backend.expand(&given).len(), 2);
        backend.reload().await.unwrap();
        assert_eq!(backend.expand(&given).len(), 1);
    }

    #[tokio::test]
    async fn two_processes_follow_each_other() {
        use crate::backend::Backend;
        use taskcluster_core::clock::SystemClock;
        let Some((first, database)) = open().await else { return };
        let key = crate::seal::tests::KEY;
        drop(first);
        let process = async || {
            let store = Postgres::open(&database, Sealer::new(&key).unwrap()).await.unwrap();
            Backend::open(Arc::new(store), SystemClock::shared()).await.unwrap()
        };
        let (one, two) = (process().await, process().await);
        one.create_role("r", "a role", &["x".to_owned()], "somebody").await.unwrap();
        let given = ["assume:r".to_owned()];
        assert_eq!(one.expand(&given).len(), 2);
        assert_eq!(two.expand(&given).len(), 1, "not yet seen");
        two.refresh().await.unwrap();
        assert_eq!(two.expand(&given).len(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_notices_that_connections_were_lost() {
        use crate::backend::Backend;
        use futures_util::future::join_all;
        use sqlx::Connection as _;
        use taskcluster_core::clock::SystemClock;
        let Some((store, database)) = open().await else { return };
        let backend = Backend::open(Arc::new(store), SystemClock::shared()).await.unwrap();
        let Database::Postgres(url) = &database else { unreachable!() };
        let read = async || join_all((0..50).map(|_| backend.roles())).await.into_iter().all(|read| read.is_ok());
        // As many connections as there may be.
        assert!(read().await);
        for number in 0..3 {
            let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
            let others = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sqlx::query(others).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            if number > 0 {
                assert!(read().await);
            }
            backend.create_role(&format!("r{number}"), "a role", &["x".to_owned()], "somebody").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_made_by_another_process_is_known_at_once() {
        use crate::backend::{Backend, Wanted};
        use taskcluster_core::Credentials;
        use taskcluster_core::clock::SystemClock;
        use taskcluster_core::hawk::{self, RequestFacts};
        use taskcluster_core::time::hours;
        use taskcluster_server::{AuthOutcome, AuthRequest};
        let Some((store, _database)) = open().await else { return };
        let process = async || Backend::open(Arc::new(store.clone()), SystemClock::shared()).await.unwrap();
        let (one, two) = (process().await, process().await);
        let now = one.clock().now();
        let wanted = Wanted {
            description: "a client".to_owned(),
            expires: now + hours(1),
            scopes: None,
            delete_on_expiration: false,
        };
        let client = one.create_client("c", wanted, "somebody").await.unwrap();
        let facts = RequestFacts { method: "get", resource: "/x", host: "other.test", port: 80 };
        let credentials = Credentials::new("c", client.access_token.expose());
        let header = hawk::sign(&credentials, facts, None, now).unwrap();
        let request = AuthRequest {
            method: "get".to_owned(),
            resource: "/x".to_owned(),
            host: "other.test".to_owned(),
            port: 80,
            authorization: Some(header.to_str().unwrap().to_owned()),
            source_ip: None,
            trace_id: None,
        };
        let outcome = two.local().authenticate(&request).await;
        assert!(matches!(outcome, AuthOutcome::Success { .. }), "{outcome:?}");
    }
}
