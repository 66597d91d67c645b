//! Messages that belong to a change of state: written in its transaction, published afterwards.
//!
//! A service writes its messages as rows with the change that they tell of ([`insert`]). A
//! [`Relay`] publishes the rows and deletes those that the bus has taken. A crash between the two loses nothing; a message may
//! be published twice.
//!
//! Many messages are on their way at the same time, and yet those of one *partition* (of one task, that is) come in their
//! order: each is published once the bus has taken the one before. When the bus does not take one, those after it stay where
//! they are, and are published after it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use taskcluster::events::{Bus, BusError};
use taskcluster_core::clock::SharedClock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Sql, StoreError};

mod partitions;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

#[cfg(feature = "postgres")]
pub(crate) use postgres::Publisher;

/// The table in SQLite, as a statement for a service's migrations.
pub const SQLITE_TABLE: &str = "CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    cc TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;
";

/// The table in PostgreSQL, as a statement for a service's migrations.
pub const POSTGRES_TABLE: &str = "CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    cc TEXT NOT NULL,
    payload TEXT NOT NULL
);
";

/// $1 the messages, each a list of its columns: each statement is a hop to another thread or machine, so all go in one.
const INSERT_SQLITE: &str = "INSERT INTO outbox (exchange, routing_key, cc, payload)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) ORDER BY key";

/// The same.
const INSERT_POSTGRES: &str = "INSERT INTO outbox (exchange, routing_key, cc, payload)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
     FROM json_array_elements(CAST($1 AS json)) WITH ORDINALITY AS message (value, place) ORDER BY place";

/// How many rows are published in one step.
const STEP: usize = 256;

/// From one step to the next it takes this long at least, so that under load a step serves many commits.
const PAUSE: Duration = Duration::from_millis(10);

/// While another process publishes, it is tried again after this time: it may not have seen our latest rows.
const TURN: Duration = Duration::from_millis(50);

/// While the bus is away, it is tried again after one second, two, four, and from then on each time after this many.
const LAST_RETRY: u64 = 8;

/// The table is looked at this often even if nothing was committed: another process may have left something.
const SWEEP: Duration = Duration::from_secs(5);

/// A message that is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Full name of the exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Further keys.
    pub cc: Vec<String>,
    /// The body, JSON.
    pub payload: String,
}

impl Message {
    /// The form in which it is kept: the further keys as one JSON text.
    fn cc_text(&self) -> String {
        serde_json::to_string(&self.cc).expect("a list of texts can be written as JSON")
    }

    fn from_row((id, exchange, routing_key, cc, payload): Row) -> (i64, Self) {
        let cc = serde_json::from_str(&cc).unwrap_or_default();
        (id, Self { exchange, routing_key, cc, payload })
    }
}

/// Writes messages in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn insert(sql: &mut dyn Sql, messages: &[Message]) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let columns = |message: &Message| {
        let Message { exchange, routing_key, payload, .. } = message.clone();
        [exchange, routing_key, message.cc_text(), payload]
    };
    let rows: Vec<[String; 4]> = messages.iter().map(columns).collect();
    let rows = serde_json::to_string(&rows).expect("texts can be written as JSON");
    sql.run(sql.either(INSERT_SQLITE, INSERT_POSTGRES), &[rows.into()]).await?;
    Ok(())
}

impl From<Message> for taskcluster::events::Message {
    fn from(message: Message) -> Self {
        Self::new(message.exchange, message.routing_key, message.payload).with_cc(message.cc)
    }
}

/// id, exchange, routing key, further keys as JSON, payload.
type Row = (i64, String, String, String, String);

/// Why messages were not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The rows cannot be read or deleted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus does not take them.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Another process is publishing.
    #[error("another process is publishing")]
    Busy,
}

impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A store with an outbox in it.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Publishes up to `at_most` messages, oldest first, and deletes those that the bus has taken. Gives their number.
    ///
    /// # Errors
    /// When the bus does not take a message: then no other is begun. [`OutboxError::Busy`] while another process
    /// publishes.
    async fn publish(&self, bus: &dyn Bus, at_most: usize) -> Result<usize, OutboxError>;

    /// Changes whenever there may be new rows.
    fn commits(&self) -> watch::Receiver<u64>;
}

/// Publishes what is in an outbox.
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    bus: Arc<dyn Bus>,
    clock: SharedClock,
    exchanges: Vec<&'static str>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Relay {
    /// From an outbox to a bus.
    pub fn new(outbox: Arc<dyn Outbox>, bus: Arc<dyn Bus>, clock: SharedClock) -> Self {
        Self { outbox, bus, clock, exchanges: Vec::new() }
    }

    /// Which first makes these exchanges known to the bus, so that others can listen before anything happens.
    #[must_use]
    pub fn with_exchanges(mut self, exchanges: impl IntoIterator<Item = &'static str>) -> Self {
        self.exchanges.extend(exchanges);
        self
    }

    /// Publishes one portion of what is there. Gives how many messages that were; there may be more unless it is none.
    ///
    /// # Errors
    /// When the store or the bus fails; nothing is lost, and the next step tries again.
    pub async fn step(&self) -> Result<usize, OutboxError> {
        self.outbox.publish(&*self.bus, STEP).await
    }

    async fn declare(&mut self) -> Result<(), OutboxError> {
        if !self.exchanges.is_empty() {
            self.bus.declare(&self.exchanges).await?;
            self.exchanges.clear();
        }
        Ok(())
    }

    /// Publishes until `shutdown`, and then what is left.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut commits = self.outbox.commits();
        let mut failures: u32 = 0;
        loop {
            commits.borrow_and_update();
            let next = Instant::now() + PAUSE;
            let step = match self.declare().await {
                Ok(()) => self.step().await,
                Err(error) => Err(error),
            };
            let wait = match step {
                Ok(STEP..) => continue,
                // Until there is none: then others may publish.
                Ok(1..) => {
                    failures = 0;
                    Duration::ZERO
                }
                Ok(0) => {
                    failures = 0;
                    SWEEP
                }
                Err(OutboxError::Busy) => TURN,
                Err(error) => {
                    failures += 1;
                    // Once when it begins, then ever more seldom.
                    if failures.is_power_of_two() {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            failures,
                            "messages wait in the outbox"
                        );
                    }
                    Duration::from_secs((1 << failures.min(5)).min(LAST_RETRY))
                }
            };
            if shutdown.is_cancelled() {
                return;
            }
            tokio::select! {
                () = shutdown.cancelled() => continue,
                () = self.clock.sleep(wait) => {}
                // Without the sender the store is closed; the sweep or the shutdown ends the wait.
                Ok(()) = commits.changed(), if failures == 0 && wait == SWEEP => {}
            }
            let _ = shutdown.run_until_cancelled(tokio::time::sleep_until(next)).await;
        }
    }
}
