//! Events on their way out: the store as an outbox that a relay empties.

use async_trait::async_trait;
use service_kit::outbox::{Outbox, OutboxError};
use taskcluster::events::Bus;
use tokio::sync::watch;

use super::sql::{Arg, Dialect, Sql};
use super::{Store, StoreError, rows};
use crate::messages::Message;

pub(super) async fn write_messages(
    sql: &mut dyn Sql,
    dialect: &Dialect,
    messages: &[Message],
) -> Result<(), StoreError> {
    let rows: Vec<rows::MessageRow<'_>> = messages.iter().map(rows::MessageRow::of).collect();
    let list = serde_json::to_string(&rows).expect("events are text");
    sql.run(dialect.insert_outbox, &[Arg::from(&list)]).await?;
    Ok(())
}

#[async_trait]
impl Outbox for Store {
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError> {
        self.backend.outbox().publish(bus, at_most).await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.new_events.subscribe()
    }
}
