//! What the service does by itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) mod expiry;
pub(crate) mod hear;
pub(crate) mod settle;

/// A step that failed is taken again after a second, two, four and so on, up to this.
const LAST_RETRY: u64 = 32;

/// Waits ever longer while things fail. In real time, whatever the clock: it is the network or a database that is waited for.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
}

impl Patience {
    fn reset(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure. Answers whether it is worth a line in the log: when it begins, then ever more seldom.
    fn failed(&mut self) -> bool {
        self.failures += 1;
        self.failures.is_power_of_two()
    }

    fn next(&self) -> Duration {
        Duration::from_secs((1 << self.failures.saturating_sub(1).min(5)).min(LAST_RETRY))
    }

    /// Waits; at most until `stop`.
    async fn wait(&self, stop: &CancellationToken) {
        let _ = stop.run_until_cancelled(tokio::time::sleep(self.next())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_up_to_half_a_minute_and_talks_ever_less() {
        let mut patience = Patience::default();
        let said: Vec<bool> = (0..8).map(|_| patience.failed()).collect();
        assert_eq!(said, [true, true, false, true, false, false, false, true]);
        assert_eq!(patience.next(), Duration::from_secs(32));
        patience.reset();
        assert!(patience.failed());
        assert_eq!(patience.next(), Duration::from_secs(1));
    }
}
