use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::Timestamp;

/// Differences up to here come from the whole seconds of a `Date` header and from the way of the answer.
const NOISE: i64 = 2000;

/// How far the server's clock is ahead of ours, in milliseconds, as its answers tell. Signatures are dated by the
/// server's clock, so that a machine whose clock is wrong can still call.
#[derive(Debug, Default)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    /// A time of our clock as the server's.
    pub(super) fn correct(&self, ours: Timestamp) -> Timestamp {
        let offset = self.offset();
        let distance = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 { ours - distance } else { ours + distance }
    }

    /// Learns from an answer that the server dated `theirs` and that arrived at `ours`. Whether that makes a difference
    /// to what was known before.
    pub(super) fn learn(&self, theirs: Timestamp, ours: Timestamp) -> bool {
        let offset = theirs.as_millis().saturating_sub(ours.as_millis());
        let offset = if offset.abs() <= NOISE { 0 } else { offset };
        let news = offset.abs_diff(self.offset()) > NOISE.unsigned_abs();
        if news {
            self.0.store(offset, Ordering::Relaxed);
        }
        news
    }

    pub(super) fn offset(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_not_news() {
        let (skew, now) = (Skew::default(), Timestamp::from_millis(1_000_000));
        assert!(!skew.learn(now + Duration::from_secs(2), now));
        assert_eq!(skew.correct(now), now);
        assert!(skew.learn(now - Duration::from_secs(600), now));
        assert_eq!(skew.correct(now), now - Duration::from_secs(600));
        assert!(!skew.learn(now - Duration::from_millis(599_300), now));
        assert_eq!(skew.correct(now), now - Duration::from_secs(600));
        assert!(skew.learn(now, now));
        assert_eq!(skew.correct(now), now);
    }
}
