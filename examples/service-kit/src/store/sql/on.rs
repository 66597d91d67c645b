//! Connections as something that statements can be sent to.

use std::ops::DerefMut;

use async_trait::async_trait;
#[cfg(feature = "postgres")]
use sqlx::PgConnection;
use sqlx::SqliteConnection;

use super::row::Inner;
use super::{Arg, Row, Sql};
use crate::store::StoreError;

/// A connection to SQLite, borrowed or owned.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is its connection, seen as something else")]
pub struct OnSqlite<C>(pub C);

/// A connection to PostgreSQL, borrowed or owned.
#[cfg(feature = "postgres")]
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is its connection, seen as something else")]
pub struct OnPostgres<C>(pub C);

/// A macro, since a function would have to say what both kinds of query are.
macro_rules! bound {
    ($statement:expr, $args:expr) => {{
        let mut query = sqlx::query($statement);
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text.as_deref().map(str::to_owned)),
                Arg::Int(number) => query.bind(*number),
                Arg::Float(number) => query.bind(*number),
                Arg::Flag(flag) => query.bind(*flag),
            };
        }
        query
    }};
}

#[async_trait]
impl<C: DerefMut<Target = SqliteConnection> + Send> Sql for OnSqlite<C> {
    async fn rows(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = bound!(statement, args).fetch_all(&mut *self.0).await?;
        Ok(rows.into_iter().map(Inner::Sqlite).map(Row).collect())
    }

    async fn run(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        Ok(bound!(statement, args).execute(&mut *self.0).await?.rows_affected())
    }

    fn either(&self, sqlite: &'static str, _postgres: &'static str) -> &'static str {
        sqlite
    }
}

#[cfg(feature = "postgres")]
#[async_trait]
impl<C: DerefMut<Target = PgConnection> + Send> Sql for OnPostgres<C> {
    async fn rows(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = bound!(statement, args).fetch_all(&mut *self.0).await?;
        Ok(rows.into_iter().map(Inner::Postgres).map(Row).collect())
    }

    async fn run(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        Ok(bound!(statement, args).execute(&mut *self.0).await?.rows_affected())
    }

    fn either(&self, _sqlite: &'static str, postgres: &'static str) -> &'static str {
        postgres
    }
}
