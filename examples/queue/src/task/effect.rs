//! What has to follow a transition. The store carries the effects out in the transaction that writes the task.

use taskcluster_core::ids::{Priority, RunId};
use taskcluster_core::time::Timestamp;

use super::run::{Resolution, Worker};

/// One consequence of a transition.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the world.
    Publish(Announcement),
    /// The run waits for a worker from now on.
    Enqueue(RunId),
    /// No run waits for a worker any more.
    Dequeue,
    /// The waiting run moves within its queue.
    Reorder(Priority),
    /// The worker holds the run until then; replaces an earlier lease of the task.
    Lease {
        /// Which run.
        run: RunId,
        /// Who.
        worker: Worker,
        /// Since when.
        started: Timestamp,
        /// Until when.
        taken_until: Timestamp,
    },
    /// Nobody holds a run of the task any more.
    Release,
    /// The task has reached an end: its dependents and its group want to know.
    Resolved(Resolution),
}

/// What is told, as the exchanges of the queue name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// `task-defined`
    Defined,
    /// `task-pending`
    Pending(RunId),
    /// `task-running`
    Running(RunId),
    /// `task-completed`
    Completed(RunId),
    /// `task-failed`
    Failed(RunId),
    /// `task-exception`; without the worker where the deadline and not the worker ended the run.
    Exception {
        /// Which run.
        run: RunId,
        /// Name the worker?
        with_worker: bool,
    },
    /// `task-priority-changed`
    PriorityChanged {
        /// Before.
        old: Priority,
        /// Now.
        new: Priority,
    },
}
