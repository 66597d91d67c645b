//! Not to start again and again what does not come to anything.

use std::fmt;
use std::time::Duration;

use taskcluster_core::time::Timestamp;

/// After the first such instances nothing is started for so long, after the next ones for twice as long, and so on.
const FIRST: Duration = Duration::from_secs(15);

/// And never longer than that.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Ends within this time count as one failure: instances come in crowds.
const TOGETHER: Duration = Duration::from_secs(15);

/// Instances that ended before their worker had begun, since one has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "decisions are tested with it")]
pub struct Failures {
    /// When they ended, the latest first.
    pub times: Vec<Timestamp>,
    /// What was said of the latest.
    pub reason: String,
}

impl Failures {
    /// Until when nothing is to be started.
    #[must_use]
    pub fn pause(&self, now: Timestamp) -> Option<Timestamp> {
        let last = *self.times.first()?;
        let crowds = 1 + self.times.windows(2).filter(|pair| pair[0].since(pair[1]) > TOGETHER).count();
        let doublings = u32::try_from(crowds - 1).unwrap_or(u32::MAX).min(10);
        let until = last + (FIRST * 2_u32.pow(doublings)).min(LONGEST);
        (until > now).then_some(until)
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times.len() {
            1 => write!(f, "the last instance ended before its worker had begun ({})", self.reason),
            many => write!(f, "the last {many} instances ended before their workers had begun ({})", self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crowd_of_failures_doubles_the_pause() {
        let now = Timestamp::from_millis(10_000_000);
        let ago = |seconds: &[u64]| Failures {
            times: seconds.iter().map(|seconds| now - Duration::from_secs(*seconds)).collect(),
            reason: "exit status 1".to_owned(),
        };
        let left = |failures: &Failures| failures.pause(now).map(|until| until.since(now).as_secs());
        assert_eq!(left(&ago(&[])), None);
        assert_eq!(left(&ago(&[5])), Some(10));
        assert_eq!(left(&ago(&[5, 5, 6, 8])), Some(10), "they came together");
        assert_eq!(left(&ago(&[5, 25])), Some(25));
        assert_eq!(left(&ago(&[5, 25, 60])), Some(55));
        assert_eq!(left(&ago(&[16])), None);
        let many: Vec<u64> = (0..20).map(|n| 1 + n * 100).collect();
        assert_eq!(left(&ago(&many)), Some(599));
        assert_eq!(ago(&[5]).to_string(), "the last instance ended before its worker had begun (exit status 1)");
    }
}
