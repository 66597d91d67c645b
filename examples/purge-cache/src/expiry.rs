//! Removes requests that are no longer open.

use std::sync::Arc;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::hours;
use tokio_util::sync::CancellationToken;

use crate::request::open_since;
use crate::store::{Store, StoreError};

/// How much one transaction removes, so that others get their turn.
const PORTION: usize = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: SharedClock,
}

impl Expiry {
    /// Removes all that are not open by now, and says how many.
    pub(crate) async fn step(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let removed = self.store.expire(open_since(self.clock.now()), PORTION).await?;
            all += removed;
            if removed < PORTION as u64 {
                return Ok(all);
            }
        }
    }

    /// Every hour, until `stop`. What fails is logged, and done with the next time: nobody is shown what has expired.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(0) => {}
                Ok(requests) => tracing::info!(requests, "removed what had expired"),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "what has expired cannot be removed");
                }
            }
            let _ = stop.run_until_cancelled(self.clock.sleep(hours(1))).await;
        }
    }
}
