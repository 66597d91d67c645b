//! A store of numbers on each of the backends.

use std::sync::Arc;

use service_kit::outbox::{self, Message, Outbox};
use service_kit::store::{Database, OnSqlite, SqliteStore, StoreError};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) enum Backend {
    /// With the folder that goes when the test ends.
    Sqlite { store: SqliteStore, _folder: Option<tempfile::TempDir> },
    #[cfg(feature = "postgres")]
    Postgres(service_kit::store::PostgresStore),
}

/// The test, once for each backend.
macro_rules! each_backend {
    ($($(#[$meta:meta])* async fn $name:ident($backend:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn run($backend: Backend) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_in_a_file() {
                run(Backend::sqlite_file().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_in_memory() {
                run(Backend::sqlite_memory().await).await;
            }

            #[cfg(feature = "postgres")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(backend) = Backend::postgres().await {
                    run(backend).await;
                }
            }
        }
    )*};
}
pub(crate) use each_backend;

#[cfg(feature = "postgres")]
const POSTGRES_NUMBERS: &str = "CREATE TABLE numbers (number BIGINT PRIMARY KEY);";
const SQLITE_NUMBERS: &str = "CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT;";

impl Backend {
    pub(crate) async fn sqlite_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("numbers.db"));
        Self::Sqlite { store: Self::open_sqlite(&database).await, _folder: Some(folder) }
    }

    pub(crate) async fn sqlite_memory() -> Self {
        Self::Sqlite { store: Self::open_sqlite(&Database::Memory).await, _folder: None }
    }

    async fn open_sqlite(database: &Database) -> SqliteStore {
        let known = [("0000_outbox.sql", service_kit::outbox::SQLITE_TABLE), ("0001_numbers.sql", SQLITE_NUMBERS)];
        SqliteStore::open(database, "numbers", &known).await.unwrap()
    }

    /// A database of its own on the server that the environment names.
    #[cfg(feature = "postgres")]
    pub(crate) async fn postgres() -> Option<Self> {
        let database = service_kit::testing::postgres("kit").await?;
        Some(Self::Postgres(Self::open_postgres(&database).await))
    }

    /// The same store as another process has it.
    #[cfg(feature = "postgres")]
    pub(crate) async fn another(store: &service_kit::store::PostgresStore) -> service_kit::store::PostgresStore {
        Self::open_postgres(&Self::database_of(store).await).await
    }

    #[cfg(feature = "postgres")]
    async fn open_postgres(database: &Database) -> service_kit::store::PostgresStore {
        let known = [("0000_outbox.sql", service_kit::outbox::POSTGRES_TABLE), ("0001_numbers.sql", POSTGRES_NUMBERS)];
        service_kit::store::PostgresStore::open(database, "numbers", &known, 8).await.unwrap()
    }

    /// Where a store is.
    #[cfg(feature = "postgres")]
    pub(crate) async fn database_of(store: &service_kit::store::PostgresStore) -> Database {
        let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(store.pool()).await.unwrap();
        let mut url: url::Url = std::env::var("TEST_POSTGRES").unwrap().parse().unwrap();
        url.set_path(&name);
        Database::Postgres(url)
    }

    /// Adds a number, and fails afterwards if asked to.
    pub(crate) async fn insert(&self, number: i64, fail: bool) -> Result<(), StoreError> {
        let result = if fail { Err(StoreError::NotCommitted("as asked".into())) } else { Ok(()) };
        match self {
            Self::Sqlite { store, .. } => {
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            let statement = sqlx::query("INSERT INTO numbers (number) VALUES (?)");
                            statement.bind(number).execute(connection).await?;
                            result
                        })
                    })
                    .await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => {
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            let statement = sqlx::query("INSERT INTO numbers (number) VALUES ($1)");
                            statement.bind(number).execute(connection).await?;
                            result
                        })
                    })
                    .await
            }
        }
    }

    /// Adds a number and panics.
    pub(crate) async fn panic(&self, number: i64) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { store, .. } => {
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            let statement = sqlx::query("INSERT INTO numbers (number) VALUES (?)");
                            statement.bind(number).execute(connection).await?;
                            panic!("as asked")
                        })
                    })
                    .await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => {
                store
                    .write_keyed("key", move |connection| {
                        Box::pin(async move {
                            let statement = sqlx::query("INSERT INTO numbers (number) VALUES ($1)");
                            statement.bind(number).execute(connection).await?;
                            panic!("as asked")
                        })
                    })
                    .await
            }
        }
    }

    /// Leaves messages, and fails afterwards if asked to.
    pub(crate) async fn messages(&self, keys: &[&str], fail: bool) -> Result<(), StoreError> {
        let result = if fail { Err(StoreError::NotCommitted("as asked".into())) } else { Ok(()) };
        let message = |key: &&str| Message {
            exchange: "exchange/test".into(),
            routing_key: (*key).into(),
            cc: vec!["route.x".into()],
            payload: "{}".into(),
        };
        let messages: Vec<Message> = keys.iter().map(message).collect();
        match self {
            Self::Sqlite { store, .. } => {
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            outbox::insert(&mut OnSqlite(connection), &messages).await?;
                            result
                        })
                    })
                    .await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => {
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            outbox::insert(&mut service_kit::store::OnPostgres(connection), &messages).await?;
                            result
                        })
                    })
                    .await
            }
        }
    }

    pub(crate) async fn numbers(&self) -> Vec<i64> {
        const SELECT: &str = "SELECT number FROM numbers ORDER BY number";
        match self {
            Self::Sqlite { store, .. } => sqlx::query_scalar(SELECT).fetch_all(store.readers()).await.unwrap(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => sqlx::query_scalar(SELECT).fetch_all(store.pool()).await.unwrap(),
        }
    }

    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.outbox().commits()
    }

    pub(crate) fn outbox(&self) -> Arc<dyn Outbox> {
        match self {
            Self::Sqlite { store, .. } => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { store, .. } => store.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.close().await,
        }
    }
}
