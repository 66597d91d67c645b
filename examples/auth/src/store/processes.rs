//! Several processes on one database, which is PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use service_kit::frame::Frame;
use service_kit::seal::Sealer;
use service_kit::service::{Loops, Service as _};
use service_kit::store::Database;
use sqlx::{Connection as _, PgConnection};
use taskcluster::events::{Bus, MemoryBus};
use taskcluster_core::Credentials;
use taskcluster_core::clock::{ManualClock, SharedClock, SystemClock};
use taskcluster_core::hawk::{self, RequestFacts};
use taskcluster_core::time::hours;
use taskcluster_server::{AuthOutcome, AuthRequest};
use tokio_util::sync::CancellationToken;

use super::{SCHEMA, Store};
use crate::backend::{Backend, Wanted};
use crate::service::{AuthService, Options};

async fn create() -> Option<Database> {
    service_kit::testing::postgres(SCHEMA.service).await
}

async fn open() -> Option<(Store, Database)> {
    let database = create().await?;
    let store = Store::open(&database, Sealer::ephemeral().unwrap()).await.unwrap();
    Some((store, database))
}

#[tokio::test]
async fn a_process_hears_what_another_one_changes() {
    let Some(database) = create().await else { return };
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let process = async |clock: SharedClock| {
        let sealer = Sealer::new(&super::KEY).unwrap();
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
    let Some((store, _)) = open().await else { return };
    let backend = Backend::open(store.clone(), SystemClock::shared()).await.unwrap();
    let given = ["assume:r".to_owned()];
    backend.create_role("r", "a role", &["x".to_owned()], "somebody").await.unwrap();
    // Without a trace in the trail.
    store.kit.run("DELETE FROM roles", &[]).await.unwrap();
    backend.refresh().await.unwrap();
    assert_eq!(backend.expand(&given).len(), 2);
    backend.reload().await.unwrap();
    assert_eq!(backend.expand(&given).len(), 1);
}

#[tokio::test]
async fn two_processes_follow_each_other() {
    let Some((first, database)) = open().await else { return };
    let key = super::KEY;
    drop(first);
    let process = async || {
        let store = Store::open(&database, Sealer::new(&key).unwrap()).await.unwrap();
        Backend::open(store, SystemClock::shared()).await.unwrap()
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
    let Some((store, database)) = open().await else { return };
    let backend = Backend::open(store, SystemClock::shared()).await.unwrap();
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
    let Some((store, _database)) = open().await else { return };
    let process = async || Backend::open(store.clone(), SystemClock::shared()).await.unwrap();
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
