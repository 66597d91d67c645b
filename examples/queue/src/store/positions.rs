//! The order in which runs began to wait.

use std::sync::atomic::{AtomicI64, Ordering};

use taskcluster_core::time::Timestamp;

/// Gives out places: each is behind those before, also those of earlier processes, since they follow the clock. Those of
/// processes that run at the same time are in the order of their clocks.
#[derive(Debug, Default)]
pub(super) struct Positions(AtomicI64);

impl Positions {
    /// The place of a run that begins to wait now: microseconds since 1970, or the next that is free.
    pub(super) fn next(&self, now: Timestamp) -> i64 {
        let now = now.as_millis().saturating_mul(1000);
        let next = |last: i64| last.saturating_add(1).max(now);
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_only_grow() {
        let positions = Positions::default();
        let now = Timestamp::from_millis(1_000);
        assert_eq!([positions.next(now), positions.next(now)], [1_000_000, 1_000_001]);
        assert_eq!(positions.next(Timestamp::from_millis(999)), 1_000_002);
        assert_eq!(positions.next(Timestamp::from_millis(2_000)), 2_000_000);
    }
}
