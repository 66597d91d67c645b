//! What has to follow a transition. The store carries the effects out in the transaction that writes the task.

use taskcluster_core::ids::{Priority, RunId};

use super::run::Resolution;

/// One consequence of a transition.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the world.
    Publish(Announcement),
    /// A run waits for a worker from now on, behind those that wait already.
    Enqueue,
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
