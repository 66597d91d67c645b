//! How many processes and threads a task has, against how many it may have.
//!
//! Where the system itself holds a task to its limit, one that has as many as it may can start nothing more, but it goes on trying:
//! so after a while it is ended. Where the system does not, it is ended as soon as it is seen with more.

use std::time::{Duration, Instant};

/// How long a task may have as many as it may have: a build that starts too much at once comes down by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches one command.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    most: u64,
    full_since: Option<Instant>,
    peak: u64,
}

impl Crowd {
    /// Nothing was seen yet of a task that may have so many.
    pub(crate) fn new(most: u64) -> Self {
        Self { most, full_since: None, peak: 0 }
    }

    /// So many were seen at that time. Says why the task is to be ended, if it is.
    pub(crate) fn see(&mut self, count: u64, now: Instant) -> Option<String> {
        self.peak = self.peak.max(count);
        if !self.is_full(count) {
            self.full_since = None;
            return None;
        }
        let since = *self.full_since.get_or_insert(now);
        let too_long = now.saturating_duration_since(since) >= PATIENCE;
        (count > self.most || too_long).then(|| {
            format!(
                "the task has too many processes: {count} with their threads, and {} are the most that it may have",
                self.most
            )
        })
    }

    /// What is to be known of a command that failed, if it may have failed for that.
    pub(crate) fn excuse(&self, refused: bool) -> Option<String> {
        (refused || self.is_full(self.peak)).then(|| {
            format!(
                "the task could start no more processes at times: {} with their threads are the most that it may have",
                self.most
            )
        })
    }

    /// Some end while others are counted.
    fn is_full(&self, count: u64) -> bool {
        count.saturating_add(1 + self.most / 64) >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_full_for_long_or_over_full_is_ended() {
        let (mut crowd, start) = (Crowd::new(100), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(crowd.see(50, at(0)), None);
        assert_eq!(crowd.excuse(false), None);
        assert_eq!(crowd.see(100, at(1)), None);
        assert_eq!(crowd.see(60, at(5)), None, "it came down by itself");
        assert!(crowd.excuse(false).is_some());
        assert_eq!(crowd.see(99, at(6)), None);
        assert_eq!(crowd.see(98, at(10)), None);
        let reason = crowd.see(100, at(11)).expect("for five seconds");
        assert!(reason.contains("100 with their threads, and 100 are the most"), "{reason}");
        assert!(Crowd::new(100).see(101, start).is_some(), "at once");
    }

    #[test]
    fn what_the_system_refused_is_an_excuse() {
        assert!(Crowd::new(100).excuse(true).is_some());
        assert_eq!(Crowd::new(100).excuse(false), None);
    }
}
