//! Forgets what has expired.

use std::collections::HashSet;
use std::time::Duration;

use service_kit::blobs::{BlobError, Buckets};
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::{Timestamp, minutes};
use tokio::sync::Mutex;

use super::PORTION;
use crate::artifact::{Artifact, Storage};
use crate::store::{Store, StoreError};

/// Bytes are deleted when an artifact is expired by all clocks: nobody puts it there again then, and meets its deletion.
const GRACE: Duration = minutes(1);

/// Deletes artifacts with their bytes, then tasks, then groups, queues and workers, once they have expired.
#[derive(Debug)]
pub struct Expiry {
    store: Store,
    blobs: Buckets,
    clock: SharedClock,
    /// The artifact up to which the last steps came. Those that cannot be deleted stay, and must not keep us from what
    /// is behind them; they are tried again from the beginning once the end is reached.
    last: Mutex<Option<Artifact>>,
}

/// What became of a portion of artifacts.
struct Portion {
    found: usize,
    forgotten: usize,
}

impl Expiry {
    /// Forgets what the store and the blobs hold.
    #[must_use]
    pub fn new(store: Store, blobs: impl Into<Buckets>, clock: SharedClock) -> Self {
        Self { store, blobs: blobs.into(), clock, last: Mutex::default() }
    }

    async fn next_artifacts(&self, now: Timestamp) -> Result<Portion, StoreError> {
        let mut last = self.last.lock().await;
        let artifacts = self.store.expired_artifacts(now, last.as_ref(), PORTION).await?;
        let found = artifacts.len();
        let end = artifacts.last().filter(|_| found == PORTION as usize).cloned();
        let stuck = self.delete_bytes(&artifacts).await;
        let mut gone = artifacts;
        gone.retain(|artifact| !matches!(&artifact.storage, Storage::Blob { key, .. } if stuck.contains(key)));
        let forgotten = gone.len();
        if forgotten > 0 {
            self.store.forget_artifacts(gone).await?;
        }
        *last = end;
        Ok(Portion { found, forgotten })
    }
}

impl Expiry {
    /// Deletes the bytes of artifacts; the keys of those that are still there.
    async fn delete_bytes(&self, artifacts: &[Artifact]) -> HashSet<String> {
        let mut stuck = HashSet::new();
        for side in [false, true] {
            let keys: Vec<String> = artifacts
                .iter()
                .filter_map(|artifact| match &artifact.storage {
                    Storage::Blob { key, public } if *public == side => Some(key.clone()),
                    _ => None,
                })
                .collect();
            if keys.is_empty() {
                continue;
            }
            for (key, error) in self.blobs.of(side).delete_all(&keys).await {
                // Where nothing can be kept, nothing is.
                if matches!(error, BlobError::Key(_)) {
                    continue;
                }
                tracing::warn!(key, error = %error, "an expired artifact cannot be deleted");
                stuck.insert(key);
            }
        }
        stuck
    }
}

impl Sweep for Expiry {
    const NAME: &'static str = "expiry";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let artifacts = self.next_artifacts(now - GRACE).await?;
        let tasks = self.store.expire_tasks(now, PORTION).await?;
        // Where nothing can be deleted, the storage gets a rest before the next portion is tried.
        if (artifacts.found == PORTION as usize && artifacts.forgotten > 0) || tasks == PORTION as usize {
            return Ok(Next::Now);
        }
        self.store.expire_others(now).await?;
        Ok(Next::At(now + minutes(10)))
    }
}
