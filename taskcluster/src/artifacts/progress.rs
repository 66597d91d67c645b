//! Telling how far a transfer is.

use std::fmt;
use std::sync::Arc;

/// How far a transfer is. After a failure it may have come less far than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that were sent, or received.
    pub done: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

/// Whoever wants to know.
#[derive(Clone)]
pub(super) struct Watcher(Arc<dyn Fn(Progress) + Send + Sync>);

impl Watcher {
    pub(super) fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn tell(&self, done: u64, total: Option<u64>) {
        (self.0)(Progress { done, total });
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
