//! Removes requests that are no longer open.

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::hours;

use crate::request::open_since;
use crate::store::Store;

/// How much one step removes, so that others get their turn.
const PORTION: usize = 1000;

/// Looks every hour: nobody is shown what has expired.
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
        let requests = self.store.expire(open_since(now), PORTION).await?;
        if requests > 0 {
            tracing::info!(requests, "removed what had expired");
        }
        Ok(if requests < PORTION as u64 { Next::At(now + hours(1)) } else { Next::Now })
    }
}
