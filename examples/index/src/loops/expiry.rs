//! Removes what has expired.

use std::sync::Arc;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::hours;
use tokio_util::sync::CancellationToken;

use super::Patience;
use crate::store::{Expired, Store, StoreError};

/// How much one transaction removes, so that others get their turn.
const PORTION: usize = 1000;

/// Removes entries and namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: SharedClock,
}

impl Expiry {
    /// Removes everything that has expired by now.
    pub(crate) async fn step(&self) -> Result<Expired, StoreError> {
        let mut all = Expired::default();
        loop {
            let Expired { entries, namespaces } = self.store.expire(self.clock.now(), PORTION).await?;
            all.entries += entries;
            all.namespaces += namespaces;
            if entries.max(namespaces) < PORTION as u64 {
                return Ok(all);
            }
        }
    }

    /// Every hour, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut patience = Patience::default();
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(Expired { entries, namespaces }) => {
                    patience.reset();
                    if entries + namespaces > 0 {
                        tracing::info!(entries, namespaces, "removed what had expired");
                    }
                    let _ = stop.run_until_cancelled(self.clock.sleep(hours(1))).await;
                }
                Err(error) => {
                    if patience.failed() {
                        tracing::error!(error = &error as &dyn std::error::Error, "what has expired cannot be removed");
                    }
                    patience.wait(&stop).await;
                }
            }
        }
    }
}
