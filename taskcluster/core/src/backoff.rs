//! When a call is repeated, and how long it waits before.

mod budget;

use std::time::Duration;

pub(crate) use budget::Budget;

/// How often and how patiently a call is tried.
///
/// The delays are those of all TaskCluster clients: 100 ms, doubled each time, at most 30 s, 25 % more or less by
/// chance, five repetitions. A `Retry-After` of the service takes the place of a shorter delay. What is not idempotent
/// is repeated only where it certainly did not arrive.
///
/// When services are in trouble, repetitions are what keeps them there. So all calls of a caller, its clones and those made
/// from it share a budget: each repetition takes one of 500; a call that succeeds gives back what it took, other successes and
/// time earn some anew. Where none is left, the first failure of a call is its last.
///
/// The policy of a handle is that of all its calls; [`Request::retry`](crate::Request::retry) and its like give a single call
/// another one.
///
/// ```
/// use std::time::Duration;
/// use taskcluster_core::RetryPolicy;
///
/// let patient = RetryPolicy::default().with_retries(10).with_deadline(Duration::from_secs(3600));
/// assert_eq!(patient.delay(3, 0.5), Duration::from_millis(800));
/// assert_eq!(RetryPolicy::never().retries, 0);
/// ```
///
/// Delays and timeouts are real time, whatever [`Clock`](crate::Clock) the caller has: a test's clock that stands still
/// must not keep a call waiting.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many times a call is repeated after its first attempt. Default 5.
    pub retries: u32,
    /// The delay before the first repetition. Default 100 ms.
    pub base: Duration,
    /// The longest delay, chance included. Default 30 s.
    pub cap: Duration,
    /// How far chance moves a delay, as a part of it: 0.25 for ±25 %. Default 0.25.
    pub jitter: f64,
    /// How long one attempt may take until its answer has been read. Default 90 s: `claimWork` alone waits for 20 s.
    pub attempt_timeout: Duration,
    /// How long all attempts and delays together may take. Default 5 min.
    pub deadline: Duration,
    /// How long the other side may be silent in the midst of a body that is read, or sent, piece by piece; such bodies may
    /// take longer than an attempt. Default 60 s; [`Duration::MAX`] for ever.
    pub stall_timeout: Duration,
    /// How many repetitions all calls together may be ahead of their successes. Default 500.
    pub budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            jitter: 0.25,
            attempt_timeout: Duration::from_secs(90),
            deadline: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(60),
            budget: 500,
        }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    #[must_use]
    pub fn never() -> Self {
        Self::default().with_retries(0)
    }

    /// With this many repetitions.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// With another first delay.
    #[must_use]
    pub fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// With another longest delay.
    #[must_use]
    pub fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// With another part of chance; what lies outside of 0 to 1 is moved there.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }

    /// With another time for one attempt.
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// With another time for the whole call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// With another time for which the other side may be silent in the midst of a body; [`Duration::MAX`] for ever.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// With another budget of repetitions for all calls together; `u32::MAX` for no bound.
    #[must_use]
    pub fn with_budget(mut self, budget: u32) -> Self {
        self.budget = budget;
        self
    }

    /// The delay before repetition number `repetition`, counted from 0, where `chance` lies between 0 and 1.
    #[must_use]
    pub fn delay(&self, repetition: u32, chance: f64) -> Duration {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(repetition)).min(self.cap);
        let jitter = if self.jitter.is_finite() { self.jitter.clamp(0.0, 1.0) } else { 0.0 };
        doubled.mul_f64(1.0 + jitter * (2.0 * chance.clamp(0.0, 1.0) - 1.0)).min(self.cap)
    }
}

/// A number from 0 up to 1, good enough to spread callers over time.
pub(crate) fn chance() -> f64 {
    let random = uuid::Uuid::new_v4().as_u64_pair().0 as u32;
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let middle: Vec<u128> = (0..12).map(|n| policy.delay(n, 0.5).as_millis()).collect();
        assert_eq!(middle, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
        assert_eq!(policy.delay(u32::MAX, 1.0), policy.cap);
    }

    #[test]
    fn chance_moves_a_delay_by_a_quarter() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(0, 0.0), Duration::from_millis(75));
        assert_eq!(policy.delay(0, 1.0), Duration::from_millis(125));
        assert_eq!(policy.clone().with_jitter(f64::NAN).delay(0, 1.0), Duration::from_millis(100));
        for _ in 0..100 {
            assert!((0.0..1.0).contains(&chance()));
        }
    }
}
