//! What both stores promise. Every test runs against SQLite in a file, SQLite in memory, and PostgreSQL if there is one.

mod backend;

use std::sync::Arc;
use std::time::Duration;

use backend::{Backend, each_backend};
use futures_util::future::join_all;
use service_kit::store::{Database, SqliteStore, StoreError};

const LONG: Duration = Duration::from_secs(60);

each_backend! {
    /// One job fails, its neighbours in the same transaction do not.
    async fn a_job_that_fails_takes_back_its_own_changes_only(backend) {
        let jobs = (0..50).map(|number| backend.insert(number, number % 5 == 0));
        let results = join_all(jobs).await;
        for (number, result) in results.iter().enumerate() {
            assert_eq!(result.is_err(), number % 5 == 0, "{number}: {result:?}");
        }
        let expected: Vec<i64> = (0..50).filter(|number| number % 5 != 0).collect();
        assert_eq!(backend.numbers().await, expected);
    }

    async fn a_job_that_panics_is_an_error_and_nothing_else(backend) {
        let (panicked, fine) = tokio::join!(backend.panic(1), backend.insert(2, false));
        assert!(matches!(panicked, Err(StoreError::Panicked)), "{panicked:?}");
        fine.unwrap();
        assert_eq!(backend.numbers().await, [2]);
    }

    async fn a_statement_that_fails_does_not_spoil_its_neighbours(backend) {
        backend.insert(7, false).await.unwrap();
        let (twice, other) = tokio::join!(backend.insert(7, false), backend.insert(8, false));
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
        other.unwrap();
        assert_eq!(backend.numbers().await, [7, 8]);
    }

    async fn a_commit_is_told(backend) {
        let mut commits = backend.commits();
        commits.borrow_and_update();
        backend.insert(1, false).await.unwrap();
        tokio::time::timeout(LONG, commits.changed()).await.unwrap().unwrap();
    }

    async fn what_is_answered_can_be_read(backend) {
        for number in 0..20 {
            backend.insert(number, false).await.unwrap();
            assert_eq!(backend.numbers().await.last(), Some(&number));
        }
    }

    async fn messages_leave_the_outbox_in_order_once_they_are_committed(backend) {
        use taskcluster::events::{Binding, Bus as _, MemoryBus};
        let bus = MemoryBus::new();
        let mut listener = bus.subscribe(vec![Binding::everything("exchange/test")]).await.unwrap();
        assert!(backend.messages(&["lost"], true).await.is_err());
        backend.messages(&["a"], false).await.unwrap();
        backend.messages(&["b", "c"], false).await.unwrap();
        assert_eq!(backend.outbox().publish(&bus, 2).await.unwrap(), 2);
        assert_eq!(backend.outbox().publish(&bus, 2).await.unwrap(), 1);
        assert_eq!(backend.outbox().publish(&bus, 2).await.unwrap(), 0);
        for text in ["a", "b", "c"] {
            let message = tokio::time::timeout(LONG, listener.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(message.routing_key, text);
            assert_eq!(message.cc, ["route.x"]);
            assert_eq!(message.payload, "{}");
        }
    }

    async fn messages_wait_while_the_bus_is_away(backend) {
        use taskcluster::events::{Binding, Bus as _, MemoryBus};
        backend.messages(&["a"], false).await.unwrap();
        let closed = MemoryBus::new();
        closed.close();
        assert!(backend.outbox().publish(&closed, 10).await.is_err());

        let bus = Arc::new(MemoryBus::new());
        let mut listener = bus.subscribe(vec![Binding::everything("exchange/test")]).await.unwrap();
        let shutdown = tokio_util::sync::CancellationToken::new();
        let clock = taskcluster_core::clock::SystemClock::shared();
        let relay = service_kit::outbox::Relay::new(backend.outbox(), bus, clock);
        let running = async {
            relay.run(shutdown.clone()).await;
        };
        let test = async {
            for expected in ["a", "b"] {
                let message = tokio::time::timeout(LONG, listener.next()).await.unwrap().unwrap().unwrap();
                assert_eq!(message.routing_key, expected);
                if expected == "a" {
                    backend.messages(&["b"], false).await.unwrap();
                }
            }
            shutdown.cancel();
        };
        tokio::join!(running, test);
    }

    async fn a_closed_store_says_so(backend) {
        backend.insert(1, false).await.unwrap();
        backend.close().await;
        assert!(matches!(backend.insert(2, false).await, Err(StoreError::Closed)));
    }
}

#[tokio::test]
async fn data_survives_and_newer_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("test.db"));
    let older = [("0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);")];
    let newer = [older[0], ("0002_b.sql", "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 5")];

    SqliteStore::open(&database, "test", &older).await.unwrap().close().await;
    let store = SqliteStore::open(&database, "test", &newer).await.unwrap();
    let row: (i64, i64) = sqlx::query_as("SELECT x, y FROM a").fetch_one(store.readers()).await.unwrap();
    assert_eq!(row, (1, 5));
    store.close().await;

    let error = SqliteStore::open(&database, "test", &older).await.unwrap_err().to_string();
    assert!(error.contains("newer version") && error.contains("0002_b.sql") && !error.contains('\n'), "{error}");
    let error = SqliteStore::open(&database, "other", &newer).await.unwrap_err().to_string();
    assert!(error.contains("service test"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("test.db"));
    let broken = [("0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT; NONSENSE")];
    let error = SqliteStore::open(&database, "test", &broken).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error:?}");
    let right = [("0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT")];
    SqliteStore::open(&database, "test", &right).await.unwrap();
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("test.db"));
    let known = [("0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)")];
    let stores = join_all((0..4).map(|_| SqliteStore::open(&database, "test", &known))).await;
    let store = stores.into_iter().next().unwrap().unwrap();
    let (rows,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM a").fetch_one(store.readers()).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_one_clear_line() {
    let error = SqliteStore::open(&"sqlite:/proc/nowhere/x.db".parse().unwrap(), "test", &[]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/proc/nowhere/x.db") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn jobs_that_wait_share_a_transaction() {
    let backend = Backend::sqlite_file().await;
    let before = *backend.commits().borrow();
    join_all((0..500).map(|number| backend.insert(number, false))).await;
    let commits = *backend.commits().borrow() - before;
    assert_eq!(backend.numbers().await.len(), 500);
    assert!(commits <= 500 / 2, "{commits} commits for 500 jobs that were handed in at once");
}

/// As it does by itself when the disk is full.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_fails_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("test.db"));
    let store =
        SqliteStore::open(&database, "test", &[("0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT")]).await.unwrap();
    let statement = |sql: &'static str| {
        store.write(move |connection| {
            Box::pin(async move {
                sqlx::raw_sql(sql).execute(connection).await?;
                Ok::<_, StoreError>(())
            })
        })
    };
    assert!(matches!(statement("ROLLBACK").await, Err(StoreError::NotCommitted(_))));
    statement("INSERT INTO a VALUES (1)").await.unwrap();
}

/// What only PostgreSQL can do.
#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_listens_is_told() {
        let Some(Backend::Postgres(store)) = Backend::postgres().await else { return };
        let mut told = store.listen(&["claims"]).await.unwrap();
        store.notify("others", &["elsewhere".to_owned()]).await.unwrap();
        store.notify("claims", &["one".to_owned(), "two".to_owned()]).await.unwrap();
        for text in ["one", "two"] {
            let notification = tokio::time::timeout(LONG, told.next()).await.unwrap().unwrap();
            assert_eq!(notification, Some(("claims".to_owned(), text.to_owned())));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whose_bus_is_away_lets_others_publish() {
        use service_kit::outbox::{Outbox as _, OutboxError};
        use taskcluster::events::MemoryBus;
        let Some(backend) = Backend::postgres().await else { return };
        let Backend::Postgres(store) = &backend else { return };
        let other = Backend::another(store).await;
        backend.messages(&["a", "b"], false).await.unwrap();
        let (closed, bus) = (MemoryBus::new(), MemoryBus::new());
        closed.close();
        assert!(matches!(store.publish(&closed, 1).await, Err(OutboxError::Bus(_))));
        assert_eq!(other.publish(&bus, 1).await.unwrap(), 1);
        assert!(matches!(store.publish(&bus, 1).await, Err(OutboxError::Busy)), "there may be more, in order");
        assert_eq!(other.publish(&bus, 1).await.unwrap(), 1);
        assert_eq!(other.publish(&bus, 1).await.unwrap(), 0);
        assert_eq!(store.publish(&bus, 1).await.unwrap(), 0);
        other.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lost_connection_is_made_again() {
        let Some(backend) = Backend::postgres().await else { return };
        let Backend::Postgres(store) = &backend else { return };
        backend.insert(1, false).await.unwrap();
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .execute(store.pool())
            .await
            .unwrap();
        // Whoever gets a broken connection notices it, once for each connection.
        let mut number = 2;
        while backend.insert(number, false).await.is_err() {
            number += 1;
            assert!(number < 50, "the connections do not come back");
        }
        let known =
            async || sqlx::query_scalar("SELECT number FROM numbers ORDER BY number").fetch_all(store.pool()).await;
        let mut numbers: Result<Vec<i64>, _> = known().await;
        for _ in 0..50 {
            if numbers.is_ok() {
                break;
            }
            numbers = known().await;
        }
        assert_eq!(numbers.unwrap(), [1, number]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_that_goes_on_after_a_failed_statement_is_not_committed() {
        let Some(backend) = Backend::postgres().await else { return };
        let Backend::Postgres(store) = &backend else { return };
        backend.insert(1, false).await.unwrap();
        let careless = store.write(|connection| {
            Box::pin(async move {
                let twice = sqlx::query("INSERT INTO numbers (number) VALUES (1)").execute(connection).await;
                assert!(twice.is_err());
                Ok::<_, StoreError>(())
            })
        });
        assert!(careless.await.is_err());
        backend.insert(2, false).await.unwrap();
        assert_eq!(backend.numbers().await, [1, 2]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn services_share_a_database_and_newer_data_is_refused() {
        use service_kit::store::PostgresStore;
        let Some(Backend::Postgres(store)) = Backend::postgres().await else { return };
        let database = Backend::database_of(&store).await;
        let known = [("0001_a.sql", "CREATE TABLE numbers (other TEXT)")];
        let (one, two) = tokio::join!(
            PostgresStore::open(&database, "other", &known, 2),
            PostgresStore::open(&database, "other", &known, 2),
        );
        one.unwrap();
        two.unwrap();
        let error = PostgresStore::open(&database, "other", &[], 2).await.unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    }
}

#[tokio::test]
async fn nobody_else_may_read_a_database_in_a_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("private.db"));
    let store =
        SqliteStore::open(&database, "private", &[("0001_a.sql", "CREATE TABLE a (a TEXT) STRICT;")]).await.unwrap();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.path().display());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["private.db", "private.db-shm", "private.db-wal"]);
    store.close().await;
}
