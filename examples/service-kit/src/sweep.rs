//! What a service does again and again by itself.
//!
//! Such a loop is level-triggered: its step looks at the state and does what is due, whatever the reason for looking. Missing a
//! hint costs time, never correctness. Any number of processes may run it on one database, if a step passes over what another has
//! done already.

use std::error::Error;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;
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
    ///
    /// # Cancel safety
    /// It is dropped at the shutdown.
    fn step(&self) -> impl Future<Output = Result<Next, Self::Error>> + Send;

    /// What changes when there may be something to do at once, such as a store's commits.
    fn hints(&self) -> Option<watch::Receiver<u64>> {
        None
    }
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
    let mut hints = sweep.hints();
    while !shutdown.is_cancelled() {
        if let Some(hints) = &mut hints {
            hints.borrow_and_update();
        }
        match shutdown.run_until_cancelled(sweep.step()).await {
            None => return,
            // Even a loop with a lot to do must notice the shutdown.
            Some(Ok(Next::Now)) => patience.reset(),
            Some(Ok(Next::At(time))) => {
                patience.reset();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = clock.sleep_until(time) => {}
                    () = hinted(&mut hints) => {}
                }
            }
            Some(Err(error)) => {
                if patience.failed() {
                    let error: &dyn Error = &error;
                    tracing::error!(error, "the {} failed and is tried again", S::NAME);
                }
                patience.wait(&shutdown).await;
            }
        }
    }
}

/// Until there is a hint, if there can be any.
async fn hinted(hints: &mut Option<watch::Receiver<u64>>) {
    if let Some(hints) = hints
        && hints.changed().await.is_ok()
    {
        return;
    }
    // Without a sender the store is closed, and the next step finds that out in its time.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskcluster_core::clock::{Clock as _, ManualClock};
    use taskcluster_core::time::hours;

    use super::*;

    /// Counts its steps. The first of an hour fails, the second finds more, the third waits for the next hour.
    struct Steps {
        taken: watch::Sender<usize>,
        clock: ManualClock,
    }

    impl Sweep for Steps {
        const NAME: &'static str = "test";
        type Error = std::io::Error;

        async fn step(&self) -> Result<Next, std::io::Error> {
            self.taken.send_modify(|taken| *taken += 1);
            match *self.taken.borrow() % 3 {
                1 => Err(std::io::Error::other("as asked")),
                2 => Ok(Next::Now),
                _ => Ok(Next::At(self.clock.now() + hours(1))),
            }
        }
    }

    /// What waits for a failure to pass does not really wait here.
    #[tokio::test(start_paused = true)]
    async fn it_steps_until_nothing_is_due_also_after_a_failure_and_again_later() {
        let clock = ManualClock::at("2026-03-04T05:06:07.000Z".parse().unwrap());
        let (sender, stop) = (watch::Sender::new(0), CancellationToken::new());
        let mut taken = sender.subscribe();
        let running = run(Steps { taken: sender, clock: clock.clone() }, clock.shared(), stop.clone());
        let test = async {
            for count in [3, 6] {
                let reached = taken.wait_for(|taken| *taken == count);
                tokio::time::timeout(Duration::from_secs(120), reached).await.expect("it takes too long").unwrap();
                clock.advance(hours(1));
            }
            stop.cancel();
        };
        tokio::join!(running, test);
    }

    /// Has nothing to do unless it is told.
    struct Told {
        taken: watch::Sender<usize>,
        hints: watch::Receiver<u64>,
    }

    impl Sweep for Told {
        const NAME: &'static str = "test";
        type Error = std::io::Error;

        async fn step(&self) -> Result<Next, std::io::Error> {
            self.taken.send_modify(|taken| *taken += 1);
            Ok(Next::At(Timestamp::from_millis(i64::MAX)))
        }

        fn hints(&self) -> Option<watch::Receiver<u64>> {
            Some(self.hints.clone())
        }
    }

    #[tokio::test]
    async fn a_hint_brings_the_next_step() {
        let (hint, hints) = watch::channel(0);
        let (sender, stop) = (watch::Sender::new(0), CancellationToken::new());
        let mut taken = sender.subscribe();
        let running = run(Told { taken: sender, hints }, ManualClock::default().shared(), stop.clone());
        let test = async {
            for count in 1..4 {
                let reached = taken.wait_for(|taken| *taken == count);
                tokio::time::timeout(Duration::from_secs(120), reached).await.expect("it takes too long").unwrap();
                hint.send_modify(|hint| *hint += 1);
            }
            stop.cancel();
        };
        tokio::join!(running, test);
    }

    #[tokio::test]
    async fn to_catch_up_is_to_step_until_nothing_is_due_or_it_fails() {
        let steps = Steps { taken: watch::Sender::new(1), clock: ManualClock::default() };
        catch_up(&steps).await.unwrap();
        assert_eq!(*steps.taken.borrow(), 3);
        assert!(catch_up(&steps).await.is_err());
    }
}
