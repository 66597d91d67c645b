//! Forgets graphs that have expired.

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::hours;

use crate::store::Store;

/// How many graphs one transaction forgets, which may have many tasks.
const PORTION: usize = 10;

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
        let forgotten = self.store.expire(now, PORTION).await?;
        if forgotten > 0 {
            tracing::info!(graphs = forgotten, "forgot graphs that had expired");
        }
        Ok(if forgotten < PORTION as u64 { Next::At(now + hours(1)) } else { Next::Now })
    }
}
