//! Gives up tasks whose time is over.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;

use super::{PORTION, after};
use crate::store::{Store, StoreError};
use crate::task::Event;

/// Resolves tasks whose deadline has passed, a little later: who reports in the last second shall be heard.
#[derive(Debug)]
pub struct DeadlineResolver {
    /// The state.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// How much later.
    pub delay: Duration,
}

impl Sweep for DeadlineResolver {
    const NAME: &'static str = "deadline resolver";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let overdue = self.store.overdue(now - self.delay, PORTION).await?;
        let found = overdue.len();
        let mut answers = stream::iter(
            overdue.into_iter().map(|id| async move { (id, self.store.apply(id, Event::DeadlinePassed, now).await) }),
        )
        .buffered(PORTION as usize);
        while let Some((id, answer)) = answers.next().await {
            match answer? {
                Ok(_) => tracing::info!(task.id = %id, "the deadline of a task has passed"),
                Err(refusal) => {
                    tracing::warn!(task.id = %id, error = %refusal, "a task past its deadline cannot be resolved")
                }
            }
        }
        // One millisecond more: a deadline is past when it is over.
        let due = self.store.next_deadline().await?.map(|deadline| deadline + self.delay + Duration::from_millis(1));
        Ok(after(found, due, now))
    }
}
