//! What a service does again and again by itself.
//!
//! Such a loop is level-triggered: its step looks at the state and does what is due, whatever the reason for looking. Missing a
//! hint costs time, never correctness. Any number of processes may run it on one database, if a step passes over what another has
//! done already.

use std::error::Error;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::patience::Patience;

/// When a loop wants its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a step comes at once or later")]
pub enum Next {
    /// There may be more to do.
    Now,
    /// Nothing is due before.
    At(Timestamp),
}

/// Something that is to be done again and again. A step does a portion, so that others get their turn.
pub trait Sweep: Send + Sync + 'static {
    /// Its name in the log.
    const NAME: &'static str;

    /// Why a step fails.
    type Error: Error + Send + Sync + 'static;

    /// Looks and does what is due.
    ///
    /// # Errors
    /// When that fails; the next step tries again.
    fn step(&self) -> impl Future<Output = Result<Next, Self::Error>> + Send;
}

/// Steps until nothing is due: for tests that move the clock.
///
/// # Errors
/// When a step fails.
pub async fn catch_up<S: Sweep>(sweep: &S) -> Result<(), S::Error> {
    while sweep.step().await? == Next::Now {}
    Ok(())
}

/// Steps until the shutdown. A step that fails is logged and tried again a little later.
pub async fn run<S: Sweep>(sweep: S, clock: SharedClock, shutdown: CancellationToken) {
    let mut patience = Patience::default();
    while !shutdown.is_cancelled() {
        match sweep.step().await {
            // Even a loop with a lot to do must notice the shutdown.
            Ok(Next::Now) => patience.reset(),
            Ok(Next::At(time)) => {
                patience.reset();
                let _ = shutdown.run_until_cancelled(clock.sleep_until(time)).await;
            }
            Err(error) => {
                if patience.failed() {
                    let error: &dyn Error = &error;
                    tracing::error!(error, "the {} failed and is tried again", S::NAME);
                }
                patience.wait(&shutdown).await;
            }
        }
    }
}
