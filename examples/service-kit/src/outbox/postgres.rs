//! The outbox in PostgreSQL.

use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::partitions::{Published, publish_rows};
use super::{Outbox, OutboxError, Row};
use crate::store::PostgresStore;

/// One process at a time publishes: that keeps the order. Its connection holds a lock of the session from the first message
/// to when there is none, or its bus is away: that of another process may not be.
#[derive(Debug)]
pub(crate) struct Publisher {
    connection: PgConnection,
    has_turn: bool,
}

impl Publisher {
    /// What it deletes need not be on the disk at once, since a message may be published twice.
    async fn connect(store: &PostgresStore) -> Result<Self, sqlx::Error> {
        let mut connection = store.pool().connect_options().connect().await?;
        connection.execute("SET synchronous_commit = off").await?;
        Ok(Self { connection, has_turn: false })
    }

    async fn take_turn(&mut self, lock: i64) -> Result<(), OutboxError> {
        if !self.has_turn {
            let take = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(lock);
            self.has_turn = take.fetch_one(&mut self.connection).await?;
        }
        if self.has_turn { Ok(()) } else { Err(OutboxError::Busy) }
    }

    async fn end_turn(&mut self, lock: i64) -> Result<(), OutboxError> {
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(lock).execute(&mut self.connection).await?;
        self.has_turn = false;
        Ok(())
    }

    async fn publish(&mut self, lock: i64, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        self.take_turn(lock).await?;
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, exchange, routing_key, cc, payload FROM outbox ORDER BY id LIMIT $1")
                .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
                .fetch_all(&mut self.connection)
                .await?;
        if rows.is_empty() {
            self.end_turn(lock).await?;
            return Ok(0);
        }
        let Published { taken, result } = publish_rows(rows, bus).await;
        // By number, one by one: a transaction that began earlier may still bring a lower one.
        sqlx::query("DELETE FROM outbox WHERE id = ANY($1)").bind(&taken).execute(&mut self.connection).await?;
        if result.is_err() {
            self.end_turn(lock).await?;
        }
        result?;
        Ok(taken.len())
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        let mut held = self.publisher.lock().await;
        let mut publisher = match held.take() {
            Some(publisher) => publisher,
            None => Publisher::connect(self).await?,
        };
        let result = publisher.publish(self.lock_key("outbox"), bus, at_most).await;
        // A connection that fails, or that is dropped half way, is given up, and with it the turn.
        if !matches!(result, Err(OutboxError::Store(_))) {
            *held = Some(publisher);
        }
        result
    }

    fn commits(&self) -> watch::Receiver<u64> {
        Self::commits(self)
    }
}
