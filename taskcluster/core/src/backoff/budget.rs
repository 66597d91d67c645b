use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One repetition, in the unit in which is counted.
const ONE: u64 = 1000;

/// How much of a repetition a success earns that needed none itself.
const EARNED: u64 = ONE / 5;

/// How long it takes until one repetition is allowed again without any success.
const REFILL: Duration = Duration::from_secs(5);

/// Counts the repetitions of all calls to one deployment, so that many callers together do not multiply the load of services
/// that are in trouble already.
///
/// What a call took it gives back when it succeeds after all. Of what is lost, successes and time earn a little.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    spent: u64,
    /// When `spent` was last brought up to date; nothing while it is zero.
    seen: Option<Instant>,
}

impl Budget {
    /// Takes one repetition of `allowed`; `false` if none is left.
    pub(crate) fn take(&self, allowed: u32) -> bool {
        self.with(|spent| {
            let left = *spent + ONE <= u64::from(allowed) * ONE;
            if left {
                *spent += ONE;
            }
            left
        })
    }

    /// A call succeeded that had taken this many.
    pub(crate) fn succeeded(&self, taken: u32) {
        let back = (u64::from(taken) * ONE).max(EARNED);
        self.with(|spent| *spent = spent.saturating_sub(back));
    }

    fn with<T>(&self, change: impl FnOnce(&mut u64) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = state.seen {
            let refilled = seen.elapsed().as_millis() * u128::from(ONE) / REFILL.as_millis();
            state.spent = state.spent.saturating_sub(u64::try_from(refilled).unwrap_or(u64::MAX));
            // What is too short to count must not be forgotten.
            if refilled > 0 {
                state.seen = Some(Instant::now());
            }
        }
        let outcome = change(&mut state.spent);
        state.seen = if state.spent == 0 { None } else { state.seen.or_else(|| Some(Instant::now())) };
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_is_given_back_by_success_and_by_time() {
        let budget = Budget::default();
        assert!(budget.take(2) && budget.take(2) && !budget.take(2));
        budget.succeeded(1);
        assert!(budget.take(2) && !budget.take(2));
        for _ in 0..5 {
            budget.succeeded(0);
        }
        assert!(budget.take(2) && !budget.take(2));
        tokio::time::advance(REFILL).await;
        assert!(budget.take(2) && !budget.take(2));
        assert!(!budget.take(0) && budget.take(u32::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_saved_beyond_what_is_allowed() {
        let budget = Budget::default();
        budget.succeeded(9);
        tokio::time::advance(100 * REFILL).await;
        assert!(budget.take(1) && !budget.take(1));
    }
}
