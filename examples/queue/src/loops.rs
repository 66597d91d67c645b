//! What the queue does by itself.
//!
//! Every loop is level-triggered: its step looks at the state and does what is due, whatever the reason for looking.
//! Missing a hint costs time, never correctness. Any number of processes may run them on one database: the life cycle
//! ignores what another has done already.

use std::time::Duration;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

mod claim_resolver;
mod deadline_resolver;
mod expiry;
mod waker;

pub use claim_resolver::ClaimResolver;
pub use deadline_resolver::DeadlineResolver;
pub use expiry::Expiry;
pub use waker::{Listener, Waker};

/// How much one step does at most, so that others get their turn.
const PORTION: u32 = 100;

/// A loop does not sleep longer than this: somebody may have claimed a run for, or created a task with, less time than
/// what was due next when it looked.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// When a loop wants its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There may be more to do.
    Now,
    /// Nothing is due before.
    At(Timestamp),
}

impl Next {
    /// After a step that found so many things to do: the rest, or what is due next.
    fn after(found: usize, due: Option<Timestamp>, now: Timestamp) -> Self {
        if found == PORTION as usize {
            return Self::Now;
        }
        let latest = now + LONGEST_SLEEP;
        Self::At(due.map_or(latest, |due| due.min(latest)))
    }
}

/// Something that is to be done again and again.
pub trait Sweep: Send + Sync {
    /// Its name in the log.
    const NAME: &'static str;

    /// Looks and does what is due.
    fn step(&self) -> impl Future<Output = Result<Next, StoreError>> + Send;
}

/// Steps until nothing is due.
///
/// # Errors
/// When a step fails.
pub async fn catch_up(sweep: &impl Sweep) -> Result<(), StoreError> {
    while sweep.step().await? == Next::Now {}
    Ok(())
}

/// Steps until the shutdown. A step that fails is logged and tried again a little later.
pub async fn run(sweep: impl Sweep, clock: SharedClock, shutdown: CancellationToken) {
    run_steps(&sweep, &clock, &shutdown).await;
}

async fn run_steps<S: Sweep>(sweep: &S, clock: &SharedClock, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let until = match sweep.step().await {
            // Even a loop with a lot to do must notice the shutdown.
            Ok(Next::Now) => continue,
            Ok(Next::At(time)) => time,
            Err(error) => {
                tracing::error!(error = %error, "the {} failed and is tried again", S::NAME);
                clock.now() + Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = clock.sleep_until(until) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_looks_again_before_a_short_claim_is_long_over() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(1200));
        assert_eq!(Next::after(0, None, now), Next::At(now + Duration::from_secs(5)));
        assert_eq!(Next::after(1, Some(late), now), Next::At(now + Duration::from_secs(5)));
        assert_eq!(Next::after(1, Some(soon), now), Next::At(soon));
        assert_eq!(Next::after(PORTION as usize, Some(late), now), Next::Now);
    }
}
