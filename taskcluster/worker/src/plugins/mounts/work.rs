//! Work of a run that blocks, and ends with it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::{Budget, Fault, MountLimits};
use crate::error::{Error, Result};

/// Threads that unpack for one run.
#[derive(Debug)]
pub(super) struct Work {
    budget: Arc<Budget>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Work {
    pub(super) fn new(limits: MountLimits) -> Self {
        let stop = CancellationToken::new();
        Self { budget: Arc::new(Budget::new(limits, stop.clone())), stop, tracker: TaskTracker::new() }
    }

    /// What the run's mounts may take.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Do something that blocks, about the mount `what`.
    ///
    /// # Cancel safety
    /// Dropping the future stops the work: it is granted nothing more.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let guard = self.stop.clone().drop_guard();
        let done = self.tracker.spawn_blocking(work).await;
        guard.disarm();
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Fault::Refused(why))) => Err(Error::payload(format!("cannot mount {what}: {why}"))),
            Ok(Err(fault)) => Err(fault.into()),
            // A library met something that it did not expect, and would again.
            Err(error) if error.is_panic() => {
                Err(Error::payload(format!("cannot mount {what}: it cannot be unpacked")))
            }
            Err(error) => Err(Error::worker_caused(format!("cannot mount {what}"), error)),
        }
    }

    /// Wait until no thread is at work any more, which is soon.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
