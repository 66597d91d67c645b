//! Forgets what has expired.

use std::sync::Arc;

use service_kit::blobs::Blobs;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::minutes;

use super::{Next, PORTION, Sweep};
use crate::artifact::Storage;
use crate::store::{Store, StoreError};

/// Deletes artifacts with their bytes, then tasks, then groups, queues and workers, once they have expired.
#[derive(Debug)]
pub struct Expiry {
    /// The state.
    pub store: Store,
    /// Where the bytes are.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: SharedClock,
}

impl Sweep for Expiry {
    const NAME: &'static str = "expiry";

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let artifacts = self.store.expired_artifacts(now, PORTION).await?;
        let found = artifacts.len();
        let mut gone = Vec::with_capacity(found);
        for artifact in artifacts {
            if let Storage::Blob { key } = &artifact.storage
                && let Err(error) = self.blobs.delete(key).await
            {
                tracing::warn!(task.id = %artifact.task_id, artifact = artifact.name, error = %error, "an expired artifact cannot be deleted");
                continue;
            }
            gone.push(artifact);
        }
        let forgotten = gone.len();
        if forgotten > 0 {
            self.store.forget_artifacts(gone).await?;
        }
        let tasks = self.store.expire_tasks(now, PORTION).await?;
        // What cannot be deleted must not keep us busy for ever.
        if forgotten == PORTION as usize || tasks == PORTION as usize {
            return Ok(Next::Now);
        }
        self.store.expire_others(now).await?;
        Ok(Next::At(now + minutes(10)))
    }
}
