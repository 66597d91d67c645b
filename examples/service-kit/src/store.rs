//! Where a service keeps its state: SQLite in a file, or PostgreSQL.
//!
//! A service says in a [`Schema`] which tables that takes, and sends statements to an [`AnyStore`], which is one or the other; one
//! that wants more of its database takes a [`SqliteStore`] or a `PostgresStore`. All have the same shape. *Reads* go to a pool of
//! connections, each seeing the last committed state. *Writes* are jobs: a closure that gets a connection inside a transaction. Jobs
//! that wait at the same time share one transaction, each inside a savepoint of its own, so that one `COMMIT` (one `fsync`) serves
//! many requests. A job is answered after the commit, never before. A job that fails takes back its own changes only.
//!
//! ```
//! use service_kit::store::{AnyStore, Database, Schema, StoreError};
//!
//! const SCHEMA: Schema = Schema::new(
//!     "notes",
//!     &[("0001_notes.sql", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")],
//!     &[("0001_notes.sql", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")],
//! );
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), StoreError> {
//! let store = AnyStore::open(&Database::Memory, &SCHEMA).await?;
//! store.run("INSERT INTO notes (id, text) VALUES ($1, $2)", &[1_i64.into(), "hello".into()]).await?;
//! let row = store.row("SELECT text FROM notes WHERE id = $1", &[1_i64.into()]).await?;
//! assert_eq!(row.expect("it was inserted").text("text")?, "hello");
//! # Ok(())
//! # }
//! ```

use std::fmt;

use taskcluster_server::Failure;

use crate::seal::SealError;

mod any;
mod database;
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
mod schema;
mod sql;
mod sqlite;
mod writer;

pub use any::AnyStore;
pub use database::{Database, DatabaseError};
pub use migrations::Migration;
#[cfg(feature = "postgres")]
pub use postgres::{Notifications, PostgresStore};
pub use schema::Schema;
#[cfg(feature = "postgres")]
pub use sql::OnPostgres;
pub use sql::{Arg, OnSqlite, Row, Sql};
pub use sqlite::SqliteStore;

/// Whether a connection was lost, or its server told to stop: on another one the same may work.
#[must_use]
pub fn is_lost(error: &sqlx::Error) -> bool {
    /// What PostgreSQL says when an administrator, or the crash of another connection, ends this one.
    const ENDED: [&str; 2] = ["57P01", "57P02"];
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, sqlx::Error::Io(_)) || code.is_some_and(|code| ENDED.contains(&&*code))
}

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refuses a statement, or cannot be reached.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The transaction that a job shared with others could not be committed: nothing of it happened, or, when the
    /// connection was lost during the commit, it is not known.
    #[error("the transaction was not committed: {0}")]
    NotCommitted(String),
    /// A job panicked; its changes were taken back.
    #[error("a job of the store panicked")]
    Panicked,
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
    /// The data was written by a program newer than this one.
    #[error(
        "the database of {service} was written by a newer version: it has the migration {migration}, which this program does not know"
    )]
    Newer {
        /// Whose database it is.
        service: String,
        /// The migration.
        migration: String,
    },
    /// A migration was edited after it had been applied.
    #[error("the migration {migration} of {service} differs from the one that was applied to this database")]
    Changed {
        /// Whose database it is.
        service: String,
        /// The migration.
        migration: String,
    },
    /// The database belongs to another service.
    #[error("this database belongs to the service {found}, not to {expected}")]
    Foreign {
        /// Whose database it is.
        found: String,
        /// Who wanted to use it.
        expected: String,
    },
    /// A migration fails.
    #[error("the migration {migration} of {service} failed")]
    Migration {
        /// Whose database it is.
        service: String,
        /// The migration.
        migration: String,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {database}: {reason}")]
    Open {
        /// Where it is.
        database: String,
        /// What is wrong.
        reason: String,
    },
    /// This program was built without it.
    #[error("{0}: this program was built without PostgreSQL; `cargo build --features postgres` has it")]
    NoPostgres(Database),
    /// Something in it is sealed, and this key does not open it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Something that the service did not write.
    #[error("the database holds an unreadable {column}: {value}")]
    Unreadable {
        /// Where.
        column: &'static str,
        /// What.
        value: String,
    },
}

impl StoreError {
    /// What a column holds means nothing.
    pub fn unreadable(column: &'static str, value: impl fmt::Display) -> Self {
        Self::Unreadable { column, value: value.to_string() }
    }
}

/// The caller learns that something is wrong here, and the operator what.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}
