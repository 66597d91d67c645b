//! The outbox in PostgreSQL.

use async_trait::async_trait;
use sqlx::PgConnection;
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::{Message, Outbox, OutboxError, Row, publish_rows};
use crate::store::{PostgresStore, StoreError};

/// The table, as a statement for a service's migrations.
pub const POSTGRES_TABLE: &str = "CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    cc TEXT NOT NULL,
    payload TEXT NOT NULL
);
";

/// Writes messages in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn insert_postgres(connection: &mut PgConnection, messages: &[Message]) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let column = |text: fn(&Message) -> String| messages.iter().map(text).collect::<Vec<String>>();
    sqlx::query(
        "INSERT INTO outbox (exchange, routing_key, cc, payload)
         SELECT exchange, routing_key, cc, payload
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[])
           WITH ORDINALITY AS message (exchange, routing_key, cc, payload, place)
         ORDER BY place",
    )
    .bind(column(|message| message.exchange.clone()))
    .bind(column(|message| message.routing_key.clone()))
    .bind(column(Message::cc_text))
    .bind(column(|message| message.payload.clone()))
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl Outbox for PostgresStore {
    /// One process at a time publishes: that keeps the order. What it deletes need not be on the disk at once, since a
    /// message may be published twice.
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        let mut transaction = self.pool().begin_with("BEGIN; SET LOCAL synchronous_commit = off").await?;
        let (is_ours,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_xact_lock($1)")
            .bind(self.lock_key("outbox"))
            .fetch_one(&mut *transaction)
            .await?;
        if !is_ours {
            return Err(OutboxError::Busy);
        }
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, exchange, routing_key, cc, payload FROM outbox ORDER BY id LIMIT $1")
                .bind(limit)
                .fetch_all(&mut *transaction)
                .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let (published, result) = publish_rows(rows, bus).await;
        // By number, one by one: a transaction that began earlier may still bring a lower one.
        sqlx::query("DELETE FROM outbox WHERE id = ANY($1)").bind(&published).execute(&mut *transaction).await?;
        transaction.commit().await?;
        result?;
        Ok(published.len())
    }

    fn commits(&self) -> watch::Receiver<u64> {
        Self::commits(self)
    }
}
