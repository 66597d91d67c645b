//! Forgets what is of no use any more.

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::{days, minutes};

use crate::store::Store;

/// How many rows of a kind one transaction forgets.
const PORTION: usize = 1000;

/// How long something is known of an instance that has ended.
const KEPT: std::time::Duration = days(7);

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
        let forgotten = self.store.expire(now, now - KEPT, PORTION).await?;
        Ok(if forgotten < PORTION as u64 { Next::At(now + minutes(10)) } else { Next::Now })
    }
}
