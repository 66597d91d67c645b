//! Takes up requests that nobody has brought to an end: whoever began them is gone, or the queue did not answer.

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::time::minutes;

use crate::submit::{Refusal, Submitter};

/// How many requests one step tries.
const PORTION: usize = 10;

/// A request is left to its caller for so long. If that is too short, two do the same at once, which does no harm.
const PATIENCE: std::time::Duration = minutes(2);

#[derive(Clone, Debug)]
pub(crate) struct TakeUp {
    pub(crate) submitter: Submitter,
}

impl Sweep for TakeUp {
    const NAME: &'static str = "requests left behind";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let Submitter { store, clock, .. } = &self.submitter;
        let now = clock.now();
        let begun = store.begun(now - PATIENCE, PORTION).await?;
        for submission in &begun {
            store.touch(submission, now).await?;
            let graph = submission.graph_id;
            match self.submitter.carry_out(submission).await {
                Ok(_) => tracing::info!(graph.id = %graph, "a request that was left behind is carried out"),
                Err(Refusal::Store(error)) => return Err(error),
                Err(refusal) => {
                    let error: &dyn std::error::Error = &refusal;
                    tracing::warn!(graph.id = %graph, error, "a request that was left behind cannot be carried out");
                }
            }
        }
        Ok(if begun.len() < PORTION { Next::At(now + minutes(1)) } else { Next::Now })
    }
}
