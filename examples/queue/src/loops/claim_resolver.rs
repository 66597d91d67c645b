//! Takes runs back from workers that have not reclaimed them in time.

use futures_util::StreamExt as _;
use futures_util::stream;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;

use super::{PORTION, after};
use crate::store::{Store, StoreError};
use crate::task::Event;

/// Resolves runs whose claim has ended; the task is tried again while it has retries.
#[derive(Debug)]
pub struct ClaimResolver {
    /// The state.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
}

impl Sweep for ClaimResolver {
    const NAME: &'static str = "claim resolver";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let ended = self.store.expired_leases(now, PORTION).await?;
        let found = ended.len();
        let mut answers = stream::iter(ended.into_iter().map(|lease| {
            let event = Event::ClaimExpired { run: lease.run_id, taken_until: lease.taken_until };
            async move { (lease, self.store.apply(lease.task_id, event, now).await) }
        }))
        .buffered(PORTION as usize);
        while let Some((lease, answer)) = answers.next().await {
            match answer? {
                Ok(_) => tracing::info!(task.id = %lease.task_id, run.id = %lease.run_id, "a claim has expired"),
                Err(refusal) => {
                    tracing::warn!(task.id = %lease.task_id, error = %refusal, "an expired claim cannot be resolved")
                }
            }
        }
        Ok(after(found, self.store.next_lease_end(now).await?, now))
    }
}
