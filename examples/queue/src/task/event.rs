//! What may happen to a task.

use taskcluster_core::ids::{Priority, RunId};
use taskcluster_core::time::Timestamp;

use super::run::{ReasonCreated, ReasonResolved, Worker};

/// Something that happens to a task. Each may arrive twice; [`Task::apply`](super::Task::apply) says what the second
/// time means.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `scheduleTask`, or the last dependency is done.
    Schedule,
    /// A worker takes the pending run.
    Claim {
        /// Which run.
        run: RunId,
        /// Who.
        worker: Worker,
        /// Until when.
        taken_until: Timestamp,
    },
    /// The worker renews its claim.
    Reclaim {
        /// Which run.
        run: RunId,
        /// Until when.
        taken_until: Timestamp,
    },
    /// The worker says that it worked.
    Complete {
        /// Which run.
        run: RunId,
    },
    /// The worker says that it did not work.
    Fail {
        /// Which run.
        run: RunId,
    },
    /// The worker gives the run up.
    Except {
        /// Which run.
        run: RunId,
        /// Why.
        reason: ExceptionReason,
    },
    /// A claim was not renewed in time. Without effect if it has been renewed since.
    ClaimExpired {
        /// Which run.
        run: RunId,
        /// The end of the claim that was found expired.
        taken_until: Timestamp,
    },
    /// The task's time is up.
    DeadlinePassed,
    /// `cancelTask`.
    Cancel,
    /// `rerunTask`.
    Rerun,
    /// `changeTaskPriority`, or `changeTaskGroupPriority` for one of the group's tasks.
    ChangePriority {
        /// From now on.
        priority: Priority,
        /// Is it told of this task by itself?
        announce: bool,
    },
}

/// Why a worker may give a run up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionReason {
    /// The worker has to stop: the run is tried again.
    WorkerShutdown,
    /// The task asks for another try.
    IntermittentTask,
    /// The payload cannot be run.
    MalformedPayload,
    /// Something that the payload refers to cannot be had.
    ResourceUnavailable,
    /// The worker failed.
    InternalError,
}

impl ExceptionReason {
    /// The reason in the words of the wire.
    #[must_use]
    pub fn resolved(self) -> ReasonResolved {
        match self {
            Self::WorkerShutdown => ReasonResolved::WorkerShutdown,
            Self::IntermittentTask => ReasonResolved::IntermittentTask,
            Self::MalformedPayload => ReasonResolved::MalformedPayload,
            Self::ResourceUnavailable => ReasonResolved::ResourceUnavailable,
            Self::InternalError => ReasonResolved::InternalError,
        }
    }

    /// Why the next run is made, for reasons that are worth another try.
    #[must_use]
    pub fn retry(self) -> Option<ReasonCreated> {
        match self {
            Self::WorkerShutdown => Some(ReasonCreated::Retry),
            Self::IntermittentTask => Some(ReasonCreated::TaskRetry),
            Self::MalformedPayload | Self::ResourceUnavailable | Self::InternalError => None,
        }
    }
}
