//! The outbox in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::partitions::{Published, publish_rows};
use super::{Message, Outbox, OutboxError, Row};
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
    match messages {
        [] => {}
        [message] => {
            sqlx::query("INSERT INTO outbox (exchange, routing_key, cc, payload) VALUES (?, ?, ?, ?)")
                .bind(&message.exchange)
                .bind(&message.routing_key)
                .bind(message.cc_text())
                .bind(&message.payload)
                .execute(connection)
                .await?;
        }
        messages => {
            // Each statement is a hop to the connection's thread, so several rows go in one.
            let row = |message: &Message| {
                let Message { exchange, routing_key, payload, .. } = message.clone();
                [exchange, routing_key, message.cc_text(), payload]
            };
            let rows: Vec<[String; 4]> = messages.iter().map(row).collect();
            sqlx::query(
                "INSERT INTO outbox (exchange, routing_key, cc, payload)
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
                 FROM json_each(?)
                 ORDER BY key",
            )
            .bind(serde_json::to_string(&rows).expect("texts can be written as JSON"))
            .execute(connection)
            .await?;
        }
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
        let last = rows.last().map(|(id, ..)| *id);
        let Published { taken, result } = publish_rows(rows, bus).await;
        let count = taken.len();
        if count > 0 {
            // A single connection writes, so ids are in the order of commits: nothing older can still appear.
            let all_until = if result.is_ok() { last } else { None };
            self.write(move |connection| {
                Box::pin(async move {
                    let delete = match all_until {
                        Some(last) => sqlx::query("DELETE FROM outbox WHERE id <= ?").bind(last),
                        None => sqlx::query("DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))")
                            .bind(serde_json::to_string(&taken).expect("numbers can be written as JSON")),
                    };
                    delete.execute(connection).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        }
        result?;
        Ok(count)
    }

    fn commits(&self) -> watch::Receiver<u64> {
        Self::commits(self)
    }
}
