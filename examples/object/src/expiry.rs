//! Deletes objects that have expired, and uploads that were given up.

use std::collections::HashSet;
use std::time::Duration;

use service_kit::blobs::Buckets;
use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::{hours, minutes};
use tokio::sync::Mutex;

use crate::object::Object;
use crate::store::Store;

/// Data stays for so long after its object is gone: URLs that were given out before may still be in use, and an upload
/// that arrives after its data was deleted would stay for ever.
pub const LINGER: Duration = hours(1);

/// From one look at what is to be deleted to the next.
const EVERY: Duration = minutes(10);

/// How much one step deletes at most, so that others get their turn.
const PORTION: usize = 100;

/// Deletes data, then rows: so nothing stays behind that nobody knows of.
#[derive(Debug)]
pub(crate) struct Expiry {
    pub(crate) store: Store,
    pub(crate) blobs: Buckets,
    pub(crate) clock: SharedClock,
    /// The object up to which the last steps came. Those that cannot be deleted stay, and must not keep us from what is
    /// behind them; they are tried again from the beginning once the end is reached.
    last: Mutex<Option<Object>>,
}

impl Expiry {
    pub(crate) fn new(store: Store, blobs: Buckets, clock: SharedClock) -> Self {
        Self { store, blobs, clock, last: Mutex::default() }
    }
}

impl Sweep for Expiry {
    const NAME: &'static str = "expiry";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let now = self.clock.now();
        let mut last = self.last.lock().await;
        let mut gone = self.store.gone(now - LINGER, last.as_ref(), PORTION).await?;
        let end = gone.last().filter(|_| gone.len() == PORTION).cloned();
        let keys: Vec<String> = gone.iter().map(|object| object.blob_key.clone()).collect();
        let mut stuck = HashSet::new();
        for (key, error) in self.blobs.of(false).delete_all(&keys).await {
            tracing::warn!(key, error = %error, "the data of an expired object cannot be deleted");
            stuck.insert(key);
        }
        gone.retain(|object| !stuck.contains(&object.blob_key));
        // Where nothing can be deleted, the storage gets a rest before the next portion is tried.
        let more = end.is_some() && !gone.is_empty();
        if !gone.is_empty() {
            self.store.forget(gone).await?;
        }
        *last = end;
        Ok(if more { Next::Now } else { Next::At(now + EVERY) })
    }
}
