//! A worker that is at fault again and again asks the queue to keep it from tasks until somebody has looked at it.

use std::collections::HashSet;
use std::sync::Arc;

use taskcluster::queue::QuarantineWorkerRequest;
use taskcluster_core::chain;
use taskcluster_core::ids::TaskId;

use crate::events::Event;
use crate::worker::{Inner, Settings};

/// Whether this is to be asked.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    /// Tasks in a row at which the worker was at fault. One that is tried again and again says no more than it did at first.
    tasks: HashSet<TaskId>,
    /// Faults in a row of which no task is known.
    others: usize,
    /// It has been, for these faults.
    asked: bool,
}

impl Quarantine {
    /// The worker was at fault, at this task.
    pub(super) fn was_at_fault(&mut self, task_id: Option<TaskId>) {
        match task_id {
            Some(task_id) => drop(self.tasks.insert(task_id)),
            None => self.others += 1,
        }
    }

    /// How many tasks in a row the worker has failed.
    pub(super) fn faults(&self) -> usize {
        self.tasks.len() + self.others
    }

    /// Whether they are enough.
    pub(super) fn is_due(&self, settings: &Settings) -> bool {
        !self.asked && settings.quarantine.is_some_and(|(after, _)| self.faults() >= after.max(1) as usize)
    }

    pub(super) fn asked(&mut self) {
        self.asked = true;
    }
}

/// Ask for it, and say whether it was granted.
pub(super) async fn begin(inner: Arc<Inner>, faults: usize) -> bool {
    let Some((_, time)) = inner.settings.quarantine else { return false };
    let until = inner.clock.now() + time;
    let info = format!("The worker itself was at fault at {faults} tasks in a row; its own log says why.");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_task_that_is_tried_again_and_again_is_one() {
        let settings = Settings::new("/nowhere").with_quarantine(3, Duration::from_secs(1));
        let (mut quarantine, task_id) = (Quarantine::default(), TaskId::new());
        for _ in 0..9 {
            quarantine.was_at_fault(Some(task_id));
        }
        assert_eq!((quarantine.faults(), quarantine.is_due(&settings)), (1, false));
        quarantine.was_at_fault(Some(TaskId::new()));
        quarantine.was_at_fault(None);
        assert!(quarantine.is_due(&settings));
        quarantine.asked();
        assert!(!quarantine.is_due(&settings));
    }
}
