//! The life of a task, without I/O: a task, an event and the time give the next task and what has to follow.
//!
//! [`Task::apply`] is the only place that decides what may happen to a task. The stores load a task, call it and write
//! the outcome; the API and the loops turn requests and clocks into [`Event`]s. The table of all transitions is drawn
//! in `task/transitions.mmd`; a test keeps the drawing true.

use std::fmt;

use taskcluster_core::ids::{Priority, RunId, TaskId};
use taskcluster_core::time::Timestamp;

mod apply;
mod effect;
mod event;
pub(crate) mod run;
#[cfg(test)]
mod table;

pub use self::apply::{Outcome, Refusal};
pub use self::effect::{Announcement, Effect};
pub use self::event::{Event, ExceptionReason};
pub use self::run::{Claim, ReasonCreated, ReasonResolved, Resolution, Run, RunState, Worker};

/// No task has more runs than this, however often it is run again.
pub const MAX_RUNS: u32 = 50;

/// When the tasks that a task depends on count as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requires {
    /// Each must have completed.
    AllCompleted,
    /// Each must have been resolved, whatever the outcome.
    AllResolved,
}

impl Requires {
    /// Does a required task with this outcome count as done?
    #[must_use]
    pub fn satisfied_by(self, resolution: Resolution) -> bool {
        match (self, resolution) {
            (Self::AllCompleted, Resolution::Completed) | (Self::AllResolved, _) => true,
            (Self::AllCompleted, Resolution::Failed | Resolution::Exception(_)) => false,
        }
    }
}

/// The state of a task: that of its last run, or unscheduled while there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No run yet: dependencies are unsatisfied.
    Unscheduled,
    /// Waiting for a worker.
    Pending,
    /// Claimed by a worker.
    Running,
    /// Resolved: it worked.
    Completed,
    /// Resolved: the task says that it did not work.
    Failed,
    /// Resolved: it could not be run to its end.
    Exception,
}

impl State {
    /// All of them, in the order in which a task may reach them.
    pub const ALL: [Self; 6] =
        [Self::Unscheduled, Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Exception];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unscheduled => "unscheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception => "exception",
        }
    }

    /// Is the task at an end (which a rerun may revoke)?
    #[must_use]
    pub fn is_resolved(self) -> bool {
        match self {
            Self::Unscheduled | Self::Pending | Self::Running => false,
            Self::Completed | Self::Failed | Self::Exception => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the queue knows of a task beside the text of its definition: all that decides about its life, and what its
/// events carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Who it is.
    pub task_id: TaskId,
    /// `provisionerId/workerType`: where it waits for a worker.
    pub task_queue_id: String,
    /// Who may manipulate it.
    pub scheduler_id: String,
    /// The project that it belongs to.
    pub project_id: String,
    /// The group that it is a member of.
    pub task_group_id: TaskId,
    /// How urgent it is; may be changed until the task has been resolved once.
    pub priority: Priority,
    /// When it is given up.
    pub deadline: Timestamp,
    /// When it may be deleted.
    pub expires: Timestamp,
    /// How many retries its definition grants.
    pub retries: u32,
    /// How many of them are left.
    pub retries_left: u32,
    /// When its own dependencies count as done.
    pub requires: Requires,
    /// How many dependencies are not done yet.
    pub unsatisfied: u32,
    /// Has it ever been resolved? A rerun does not take this back.
    pub ever_resolved: bool,
    /// Its attempts, oldest first; only the last may be unresolved.
    pub runs: Vec<Run>,
    /// Routes: copies of its events go to `route.<route>`.
    pub routes: Vec<String>,
    /// Its tags, as JSON text: events repeat them.
    pub tags: String,
}

impl Task {
    /// The state of the last run.
    #[must_use]
    pub fn state(&self) -> State {
        match self.runs.last().map(|run| &run.state) {
            None => State::Unscheduled,
            Some(RunState::Pending) => State::Pending,
            Some(RunState::Running(_)) => State::Running,
            Some(RunState::Resolved { resolution, .. }) => resolution.state(),
        }
    }

    /// How the task ended, if its last run is resolved.
    #[must_use]
    pub fn resolution(&self) -> Option<Resolution> {
        match self.runs.last()?.state {
            RunState::Pending | RunState::Running(_) => None,
            RunState::Resolved { resolution, .. } => Some(resolution),
        }
    }

    /// Who holds the last run, if a worker does.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match &self.runs.last()?.state {
            RunState::Running(claim) => Some(claim),
            RunState::Pending | RunState::Resolved { .. } => None,
        }
    }

    /// The number of the last run.
    #[must_use]
    pub fn last_run(&self) -> Option<RunId> {
        let count = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        count.checked_sub(1).map(RunId::from)
    }

    /// A run by its number.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(usize::try_from(run.get()).ok()?)
    }

    /// The first half of the task queue's name.
    #[must_use]
    pub fn provisioner_id(&self) -> &str {
        self.task_queue_id.split_once('/').map_or("", |(provisioner, _)| provisioner)
    }

    /// The second half of the task queue's name.
    #[must_use]
    pub fn worker_type(&self) -> &str {
        self.task_queue_id.split_once('/').map_or("", |(_, worker_type)| worker_type)
    }
}

/// The rank of a priority: larger is claimed first.
#[must_use]
pub fn rank(priority: &Priority) -> i64 {
    Priority::ALL.iter().position(|each| each == priority).and_then(|index| i64::try_from(index).ok()).unwrap_or(0)
}

/// The priority of a rank.
#[must_use]
pub fn priority_of(rank: i64) -> Priority {
    usize::try_from(rank).ok().and_then(|index| Priority::ALL.get(index).cloned()).unwrap_or_default()
}
