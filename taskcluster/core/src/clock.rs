//! The one source of time: real, or moved by hand in a test.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::time::Timestamp;

/// What time it is, and waiting until it is another.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Completes when this clock has reached `time`; at once if it has already. Dropping the future ends the wait.
    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()>;

    /// Completes when this clock has advanced by `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }
}

/// A clock as it is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the operating system; sleeps on tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The clock in the form in which everything takes it.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

/// How long a sleep trusts the timer before it looks at the clock again: the system's clock may be set while we wait.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let left = time.since(SystemClock.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }

    /// Waits on the monotonic timer, whatever happens to the clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use taskcluster_core::{Clock, ManualClock};
/// let clock = ManualClock::at("2026-01-02T03:04:05Z".parse().unwrap());
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().to_string(), "2026-01-02T03:04:10.000Z");
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

struct Manual {
    now: Timestamp,
    next: u64,
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    id: u64,
    until: Timestamp,
    waker: Waker,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual { now, next: 0, sleepers: Vec::new() })))
    }

    /// The clock in the form in which everything takes it.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    /// Moves the clock forward and wakes those whose time has come.
    pub fn advance(&self, duration: Duration) {
        let target = self.lock().now + duration;
        self.set(target);
    }

    /// Sets the clock, also backwards, and wakes those whose time has come.
    pub fn set(&self, now: Timestamp) {
        let due: Vec<Sleeper> = {
            let mut manual = self.lock();
            manual.now = now;
            manual.sleepers.extract_if(.., |sleeper| sleeper.until <= now).collect()
        };
        for sleeper in due {
            sleeper.waker.wake();
        }
    }

    /// How many are asleep; lets a test wait until somebody has begun to wait.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Manual> {
        // Nothing panics while the lock is held, so that a poisoned one holds good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows 2026-01-01T00:00:00Z.
impl Default for ManualClock {
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_767_225_600_000))
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.lock().now).finish()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { clock: self.clone(), until: time, id: None })
    }
}

struct Sleep {
    clock: ManualClock,
    until: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = &mut *self;
        let mut manual = sleep.clock.lock();
        if sleep.until <= manual.now {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        match manual.sleepers.iter_mut().find(|sleeper| Some(sleeper.id) == sleep.id) {
            Some(sleeper) => sleeper.waker = waker,
            None => {
                let id = manual.next;
                manual.next += 1;
                manual.sleepers.push(Sleeper { id, until: sleep.until, waker });
                sleep.id = Some(id);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.lock().sleepers.retain(|sleeper| sleeper.id != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_those_whose_time_has_come() {
        let clock = ManualClock::default();
        let short = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        let long = tokio::spawn(clock.sleep(Duration::from_secs(20)));
        while clock.sleepers() < 2 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(10));
        short.await.unwrap();
        assert!(!long.is_finished());
        clock.advance(Duration::from_secs(10));
        long.await.unwrap();
        assert_eq!(clock.sleepers(), 0);
    }

    #[tokio::test]
    async fn a_time_that_has_passed_is_not_waited_for() {
        let clock = ManualClock::default();
        clock.sleep_until(clock.now()).await;
        SystemClock.sleep_until(SystemClock.now() - Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_sleep_that_is_dropped_leaves_nothing_behind() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(10));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.sleepers(), 0);
    }
}
