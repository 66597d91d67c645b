//! Waiting for what fails to work again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// What failed is tried again after a second, two, four and so on, up to this many.
const LONGEST: u64 = 8;

/// Waits ever longer while things fail. In real time, whatever the clock: it is the network or a database that is waited for.
#[derive(Debug, Default)]
pub struct Patience {
    failures: u32,
}

impl Patience {
    /// Notes that it works.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure. Answers whether it is worth a line in the log: when it begins, then ever more seldom.
    pub fn failed(&mut self) -> bool {
        self.failures += 1;
        self.failures.is_power_of_two()
    }

    fn next(&self) -> Duration {
        Duration::from_secs((1 << self.failures.saturating_sub(1).min(5)).min(LONGEST))
    }

    /// Waits; at most until `stop`.
    ///
    /// # Cancel safety
    /// Nothing is noted.
    pub async fn wait(&self, stop: &CancellationToken) {
        let _ = stop.run_until_cancelled(tokio::time::sleep(self.next())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_up_to_some_seconds_and_talks_ever_less() {
        let mut patience = Patience::default();
        let said: Vec<bool> = (0..8).map(|_| patience.failed()).collect();
        assert_eq!(said, [true, true, false, true, false, false, false, true]);
        assert_eq!(patience.next(), Duration::from_secs(8));
        patience.reset();
        assert!(patience.failed());
        assert_eq!(patience.next(), Duration::from_secs(1));
    }
}
