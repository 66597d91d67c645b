//! A worker that is at fault again and again asks the queue to keep it from tasks until somebody has looked at it.

use std::sync::Arc;

use taskcluster::queue::QuarantineWorkerRequest;
use taskcluster_core::chain;

use crate::events::Event;
use crate::worker::{Inner, Settings};

/// Whether this is to be asked.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    /// It has been, for these faults.
    asked: bool,
}

impl Quarantine {
    /// Whether so many runs in a row, in which the worker was at fault, are enough.
    pub(super) fn is_due(&self, settings: &Settings, failed_runs: u32) -> bool {
        !self.asked && settings.quarantine.is_some_and(|(after, _)| failed_runs >= after.max(1))
    }

    pub(super) fn asked(&mut self) {
        self.asked = true;
    }
}

/// Ask for it, and say whether it was granted.
pub(super) async fn begin(inner: Arc<Inner>, failed_runs: u32) -> bool {
    let Some((_, time)) = inner.settings.quarantine else { return false };
    let until = inner.clock.now() + time;
    let info = format!("The worker itself was at fault in {failed_runs} runs in a row; its own log says why.");
    let request = QuarantineWorkerRequest::new(until).with_quarantine_info(&*info);
    let (pool, identity) = (&inner.identity.task_queue_id, &inner.identity);
    let (group, id) = (&identity.worker_group, &identity.worker_id);
    let asked = inner.queue.quarantine_worker(pool.provisioner_id(), pool.worker_type(), group, id, &request).await;
    let (done, message) = match asked {
        Ok(_) => (true, format!("{info} It gets no more tasks until {until}, or until the quarantine is lifted.")),
        Err(error) => (false, format!("{info} It cannot put itself into quarantine: {}", chain(&error))),
    };
    tracing::error!(message);
    inner.emit(Event::Trouble { message });
    done
}
