//! Removes what has expired.

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::hours;

use crate::store::{Expired, Store};

/// How much one step removes, so that others get their turn.
const PORTION: usize = 1000;

/// Removes entries and namespaces, every hour.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
}

impl Sweep for Expiry {
    const NAME: &'static str = "expiry";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let Expired { entries, namespaces } = self.store.expire(now, PORTION).await?;
        if entries + namespaces > 0 {
            tracing::info!(entries, namespaces, "removed what had expired");
        }
        Ok(if entries.max(namespaces) < PORTION as u64 { Next::At(now + hours(1)) } else { Next::Now })
    }
}
