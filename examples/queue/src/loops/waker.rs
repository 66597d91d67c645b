//! Wakes those who wait for work that another process has made pending, or that was missed.

use std::time::Duration;

use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often it is looked for work that nobody was woken for.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks for task queues with work where somebody waits. Nothing is to be found unless a notification was lost.
#[derive(Debug)]
pub struct Waker {
    /// The state.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
}

impl Sweep for Waker {
    const NAME: &'static str = "waker";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let waiting = self.store.waiters().queues();
        if !waiting.is_empty() {
            for queue in self.store.with_work(&waiting, now).await? {
                self.store.waiters().wake(&queue, usize::MAX);
            }
        }
        Ok(Next::At(now + INTERVAL))
    }
}

/// Listens to other processes.
#[derive(Debug)]
pub struct Listener {
    /// The state.
    pub store: Store,
}

impl Listener {
    /// Wakes waiters whenever another process makes runs pending, until the shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let waiters = self.store.waiters();
        while let Some(wake) = shutdown.run_until_cancelled(self.store.next_wake()).await {
            match wake {
                Some(queue) => waiters.wake(&queue, usize::MAX),
                // The connection was lost for a while: anything may have happened.
                None => waiters.queues().iter().for_each(|queue| waiters.wake(queue, usize::MAX)),
            }
        }
    }
}
