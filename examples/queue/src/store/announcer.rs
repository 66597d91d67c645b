//! Tells other processes in which task queues runs wait, outside of the transactions that made them wait.
//!
//! A notification that is part of a transaction makes its commit wait for every other such commit of the server. Sent
//! afterwards it delays nobody, and one statement serves the commits of some milliseconds. What is told is who tells
//! it, a space, and the task queue. A notification that is lost with the
//! process, or with the connection, is made up for by the waker of the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service_kit::store::PostgresStore;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// From one notification to the next it takes this long at least.
const PAUSE: Duration = Duration::from_millis(10);

/// Where it is told.
pub(super) const CHANNEL: &str = "pending";

/// The task queues that are still to be told of.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queues: Mutex<BTreeSet<String>>,
    bell: Notify,
}

impl Announcer {
    /// Adds task queues.
    pub(super) fn add(&self, task_queue_ids: &mut dyn Iterator<Item = &str>) {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner).extend(task_queue_ids.map(str::to_owned));
        self.0.bell.notify_one();
    }

    /// Tells of them in the name of `instance`, until the end; then of those that are left.
    pub(super) async fn run(self, store: PostgresStore, instance: String, closing: CancellationToken) {
        while closing.run_until_cancelled(self.0.bell.notified()).await.is_some() {
            let next = Instant::now() + PAUSE;
            self.tell(&store, &instance).await;
            let _ = closing.run_until_cancelled(tokio::time::sleep_until(next)).await;
        }
        self.tell(&store, &instance).await;
    }

    async fn tell(&self, store: &PostgresStore, instance: &str) {
        let queues = std::mem::take(&mut *self.0.queues.lock().unwrap_or_else(PoisonError::into_inner));
        if queues.is_empty() {
            return;
        }
        let told: Vec<String> = queues.iter().map(|queue| format!("{instance} {queue}")).collect();
        if let Err(error) = store.notify(CHANNEL, &told).await {
            tracing::warn!(error = %error, "other processes are not told of waiting runs; their sweep finds them");
        }
    }
}
