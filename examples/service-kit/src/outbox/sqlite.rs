//! The outbox in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::{Message, Outbox, OutboxError, Row, publish_rows};
use crate::store::{SqliteStore, StoreError};

/// The table, as a statement for a service's migrations.
pub const SQLITE_TABLE: &str = "CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    cc TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;
";

/// Writes messages in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn insert_sqlite(connection: &mut SqliteConnection, messages: &[Message]) -> Result<(), StoreError> {
    for message in messages {
        sqlx::query("INSERT INTO outbox (exchange, routing_key, cc, payload) VALUES (?, ?, ?, ?)")
            .bind(&message.exchange)
            .bind(&message.routing_key)
            .bind(message.cc_text())
            .bind(&message.payload)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, exchange, routing_key, cc, payload FROM outbox ORDER BY id LIMIT ?")
                .bind(limit)
                .fetch_all(self.readers())
                .await?;
        let (published, result) = publish_rows(rows, bus).await;
        if let Some(&last) = published.last() {
            // A single connection writes, so ids are in the order of commits: nothing older can still appear.
            self.write(move |connection| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM outbox WHERE id <= ?").bind(last).execute(connection).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        }
        result?;
        Ok(published.len())
    }

    fn commits(&self) -> watch::Receiver<u64> {
        Self::commits(self)
    }
}
