//! A service's state, in whichever of the two databases.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::{Arg, Database, OnSqlite, Row, Schema, Sql, SqliteStore, StoreError};
#[cfg(feature = "postgres")]
use super::{OnPostgres, PostgresStore};
use crate::outbox::{Outbox, OutboxError};

/// A service's state, for a service whose statements do not care which database it is.
///
/// What holds for reads and writes stands in [the module](super). Cloning gives another handle to the same store.
#[derive(Clone, Debug)]
pub struct AnyStore {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres {
        store: PostgresStore,
        /// Who makes a change takes this lock, where changes take turns.
        turn: Option<i64>,
    },
}

/// How many connections to PostgreSQL there are: enough that two of them write.
#[cfg(feature = "postgres")]
const CONNECTIONS: u32 = 8;

/// So few that one of them writes: changes take turns anyway, and those that wait share a transaction.
#[cfg(feature = "postgres")]
const CONNECTIONS_IN_TURN: u32 = 7;

impl AnyStore {
    /// Opens the database and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is another service's, or a newer version of this one wrote it.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn open(database: &Database, schema: &Schema) -> Result<Self, StoreError> {
        let backend = match database {
            Database::Sqlite(_) | Database::Memory => {
                Backend::Sqlite(SqliteStore::open(database, schema.service, schema.sqlite).await?)
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                let connections = if schema.in_turn { CONNECTIONS_IN_TURN } else { CONNECTIONS };
                let store = PostgresStore::open(database, schema.service, schema.postgres, connections).await?;
                let turn = schema.in_turn.then(|| store.lock_key("changes"));
                Backend::Postgres { store, turn }
            }
            #[cfg(not(feature = "postgres"))]
            Database::Postgres(_) => return Err(StoreError::NoPostgres(database.clone())),
        };
        Ok(Self { backend })
    }

    /// A connection that reads: each statement sees everything that was committed before it began.
    ///
    /// # Errors
    /// When the store is closed, or the server cannot be reached.
    pub async fn reader(&self) -> Result<Box<dyn Sql>, StoreError> {
        Ok(match &self.backend {
            Backend::Sqlite(store) => Box::new(OnSqlite(store.reader().await?)),
            #[cfg(feature = "postgres")]
            Backend::Postgres { store, .. } => Box::new(OnPostgres(store.reader().await?)),
        })
    }

    /// The rows of a statement that reads.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(&self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        self.reader().await?.rows(statement, args).await
    }

    /// The first row of a statement that reads.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn row(&self, statement: &'static str, args: &[Arg<'_>]) -> Result<Option<Row>, StoreError> {
        self.reader().await?.row(statement, args).await
    }

    /// The row of a statement that reads and always gives one.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn one(&self, statement: &'static str, args: &[Arg<'_>]) -> Result<Row, StoreError> {
        self.reader().await?.one(statement, args).await
    }

    /// Carries out a change inside a transaction that it may share with others, and answers after the commit.
    ///
    /// # Errors
    /// What the change returns: then nothing of it has happened. [`StoreError`] when the transaction cannot be committed.
    ///
    /// # Cancel safety
    /// A change that waits when its future is dropped is not carried out; one that has begun is.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut dyn Sql) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite(store) => {
                store.write(|connection| Box::pin(async move { change(&mut OnSqlite(connection)).await })).await
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres { store, turn } => {
                let turn = *turn;
                store
                    .write(move |connection| {
                        Box::pin(async move {
                            let mut sql = OnPostgres(connection);
                            if let Some(lock) = turn {
                                sql.run("SELECT pg_advisory_xact_lock($1)", &[lock.into()]).await?;
                            }
                            change(&mut sql).await
                        })
                    })
                    .await
            }
        }
    }

    /// Carries out a change that is a single statement, as [`write`](Self::write) does, and counts the rows that it touched.
    ///
    /// # Errors
    /// When the database fails; then nothing has happened.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub async fn run(&self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        let args: Vec<Arg<'static>> = args.iter().cloned().map(Arg::into_owned).collect();
        self.write(move |sql| Box::pin(async move { sql.run(statement, &args).await })).await
    }

    /// Changes with every commit of this process: for loops that look whenever something may have changed.
    pub fn commits(&self) -> watch::Receiver<u64> {
        match &self.backend {
            Backend::Sqlite(store) => store.commits(),
            #[cfg(feature = "postgres")]
            Backend::Postgres { store, .. } => store.commits(),
        }
    }

    /// Whether other processes may change the same state.
    pub fn is_shared(&self) -> bool {
        match &self.backend {
            Backend::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Backend::Postgres { .. } => true,
        }
    }

    /// Finishes what was begun and closes the database; whatever other handles ask for afterwards fails.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Backend::Postgres { store, .. } => store.close().await,
        }
    }

    fn outbox(&self) -> &dyn Outbox {
        match &self.backend {
            Backend::Sqlite(store) => store,
            #[cfg(feature = "postgres")]
            Backend::Postgres { store, .. } => store,
        }
    }
}

/// For a service that has the outbox's table.
#[async_trait]
impl Outbox for AnyStore {
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        self.outbox().publish(bus, at_most).await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        Self::commits(self)
    }
}
