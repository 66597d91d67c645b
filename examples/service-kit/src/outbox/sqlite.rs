//! The outbox in SQLite.

use async_trait::async_trait;
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::partitions::{Published, publish_rows};
use super::{Outbox, OutboxError, Row};
use crate::store::{SqliteStore, StoreError};

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
