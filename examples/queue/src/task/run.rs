//! One attempt at a task.

use serde::{Deserialize, Serialize};
use taskcluster_core::time::Timestamp;

use super::State;

/// Why a run was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCreated {
    /// The task was created without dependencies, scheduled, or its dependencies were done.
    Scheduled,
    /// The run before was lost through no fault of the task.
    Retry,
    /// The run before asked for another try.
    TaskRetry,
    /// Somebody asked for a rerun.
    Rerun,
    /// Only to hold the resolution of a task that never ran.
    Exception,
}

/// Why a run ended as it did, in the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonResolved {
    /// It worked.
    Completed,
    /// It did not work.
    Failed,
    /// The task's time was up.
    DeadlineExceeded,
    /// Somebody cancelled the task.
    Canceled,
    /// The worker did not reclaim the run in time.
    ClaimExpired,
    /// The worker had to stop.
    WorkerShutdown,
    /// The payload cannot be run.
    MalformedPayload,
    /// Something that the payload refers to cannot be had.
    ResourceUnavailable,
    /// The worker failed.
    InternalError,
    /// The task asked for another try.
    IntermittentTask,
    /// Known from history only.
    Superseded,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It worked.
    Completed,
    /// It did not work.
    Failed,
    /// It could not be run to its end, for this reason.
    Exception(ReasonResolved),
}

impl Resolution {
    /// The state of a run that ended so.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Self::Completed => State::Completed,
            Self::Failed => State::Failed,
            Self::Exception(_) => State::Exception,
        }
    }

    /// The reason in the words of the wire.
    #[must_use]
    pub fn reason(self) -> ReasonResolved {
        match self {
            Self::Completed => ReasonResolved::Completed,
            Self::Failed => ReasonResolved::Failed,
            Self::Exception(reason) => reason,
        }
    }
}

/// A worker within a task queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    /// Its group, often the region.
    pub group: String,
    /// Its name within the group.
    pub id: String,
}

/// What a worker holds of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who claimed.
    pub worker: Worker,
    /// When the claim ends unless it is renewed.
    pub taken_until: Timestamp,
    /// When it was claimed.
    pub started: Timestamp,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Waiting for a worker.
    Pending,
    /// Claimed.
    Running(Claim),
    /// At its end, for good.
    Resolved {
        /// The last claim, if there was one.
        claim: Option<Claim>,
        /// How it ended.
        resolution: Resolution,
        /// When it ended.
        resolved: Timestamp,
    },
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Why there is this run.
    pub reason_created: ReasonCreated,
    /// When it became pending.
    pub scheduled: Timestamp,
    /// Where it stands.
    pub state: RunState,
}

impl Run {
    /// A run that waits for a worker.
    #[must_use]
    pub fn pending(reason_created: ReasonCreated, now: Timestamp) -> Self {
        Self { reason_created, scheduled: now, state: RunState::Pending }
    }

    /// The claim on the run, also after its end.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match &self.state {
            RunState::Pending => None,
            RunState::Running(claim) => Some(claim),
            RunState::Resolved { claim, .. } => claim.as_ref(),
        }
    }

    /// The same run at its end.
    #[must_use]
    pub(super) fn resolved(&self, resolution: Resolution, now: Timestamp) -> Self {
        Self { state: RunState::Resolved { claim: self.claim().cloned(), resolution, resolved: now }, ..self.clone() }
    }
}

/// A run as JSON: the form of the wire, which is also how runs are stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat {
    run_id: u32,
    state: FlatState,
    reason_created: ReasonCreated,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_resolved: Option<ReasonResolved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_until: Option<Timestamp>,
    scheduled: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FlatState {
    Pending,
    Running,
    Completed,
    Failed,
    Exception,
}

impl Flat {
    fn of(run_id: usize, run: &Run) -> Self {
        let claim = run.claim();
        let (state, ended) = match &run.state {
            RunState::Pending => (FlatState::Pending, None),
            RunState::Running(_) => (FlatState::Running, None),
            RunState::Resolved { resolution, resolved, .. } => {
                let state = match resolution {
                    Resolution::Completed => FlatState::Completed,
                    Resolution::Failed => FlatState::Failed,
                    Resolution::Exception(_) => FlatState::Exception,
                };
                (state, Some((resolution.reason(), *resolved)))
            }
        };
        Self {
            run_id: u32::try_from(run_id).unwrap_or(u32::MAX),
            state,
            reason_created: run.reason_created,
            reason_resolved: ended.map(|(reason, _)| reason),
            worker_group: claim.map(|claim| claim.worker.group.clone()),
            worker_id: claim.map(|claim| claim.worker.id.clone()),
            taken_until: claim.map(|claim| claim.taken_until),
            scheduled: run.scheduled,
            started: claim.map(|claim| claim.started),
            resolved: ended.map(|(_, when)| when),
        }
    }

    fn into_run(self) -> Run {
        let claim = match (self.worker_group, self.worker_id, self.taken_until, self.started) {
            (Some(group), Some(id), Some(taken_until), Some(started)) => {
                Some(Claim { worker: Worker { group, id }, taken_until, started })
            }
            _ => None,
        };
        let ended = |resolution, claim| RunState::Resolved {
            claim,
            resolution,
            resolved: self.resolved.unwrap_or(self.scheduled),
        };
        let state = match (self.state, claim) {
            (FlatState::Pending, _) | (FlatState::Running, None) => RunState::Pending,
            (FlatState::Running, Some(claim)) => RunState::Running(claim),
            (FlatState::Completed, claim) => ended(Resolution::Completed, claim),
            (FlatState::Failed, claim) => ended(Resolution::Failed, claim),
            (FlatState::Exception, claim) => {
                ended(Resolution::Exception(self.reason_resolved.unwrap_or(ReasonResolved::InternalError)), claim)
            }
        };
        Run { reason_created: self.reason_created, scheduled: self.scheduled, state }
    }
}

/// The runs as the JSON array of the wire.
#[must_use]
pub(crate) fn to_json(runs: &[Run]) -> String {
    let flat: Vec<Flat> = runs.iter().enumerate().map(|(index, run)| Flat::of(index, run)).collect();
    serde_json::to_string(&flat).expect("runs are plain data")
}

/// Reads what [`to_json`] wrote.
pub(crate) fn from_json(text: &str) -> Result<Vec<Run>, serde_json::Error> {
    Ok(serde_json::from_str::<Vec<Flat>>(text)?.into_iter().map(Flat::into_run).collect())
}
