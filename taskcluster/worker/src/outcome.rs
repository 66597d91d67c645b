//! How a run ends.

use std::fmt;

/// How a run ends, as the queue is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The user's code succeeded.
    Completed,
    /// The user's code failed.
    Failed,
    /// The run ended for another reason.
    Exception(Reason),
    /// The run is no longer this worker's, nothing is reported.
    NotOurs(NotOurs),
}

/// The reasons that a worker may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The task can never run.
    MalformedPayload,
    /// The worker gives the run back; the queue tries again.
    WorkerShutdown,
    /// The task's author expects this failure to pass; the queue tries again.
    IntermittentTask,
    /// The worker's own fault after the user's code ran.
    InternalError,
}

/// Why a run is no longer this worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotOurs {
    /// Somebody cancelled it.
    Cancelled,
    /// Its deadline has passed.
    PastDeadline,
    /// Either of the two: the queue said only that it is over.
    Resolved,
    /// The claim could not be renewed, or the queue has let it expire: another run goes on with the task, if there is to be one.
    ClaimLost,
}

impl Reason {
    /// The queue's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedPayload => "malformed-payload",
            Self::WorkerShutdown => "worker-shutdown",
            Self::IntermittentTask => "intermittent-task",
            Self::InternalError => "internal-error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception(reason) => reason.as_str(),
            Self::NotOurs(NotOurs::Cancelled) => "cancelled",
            Self::NotOurs(NotOurs::PastDeadline) => "past its deadline",
            Self::NotOurs(NotOurs::Resolved) => "cancelled or past its deadline",
            Self::NotOurs(NotOurs::ClaimLost) => "claim lost",
        })
    }
}
