//! What the queue remembers of workers and of the task queues that they serve.

use serde::{Deserialize, Serialize};
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;

use crate::task::Worker;

/// A task queue that somebody has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskQueue {
    /// `provisionerId/workerType`.
    pub task_queue_id: String,
    /// When it is forgotten unless it is used again.
    pub expires: Timestamp,
    /// When a worker last asked for work.
    pub last_date_active: Timestamp,
    /// For people.
    pub description: String,
    /// `stable`, `experimental` or `deprecated`.
    pub stability: String,
}

/// All task queues of one provisioner, seen as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioner {
    /// The first half of the queues' names.
    pub provisioner_id: String,
    /// The latest expiry of its queues.
    pub expires: Timestamp,
    /// The latest activity of its queues.
    pub last_date_active: Timestamp,
}

/// One entry in the history of a worker's quarantines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// Who did it.
    pub client_id: String,
    /// When.
    pub updated_at: Timestamp,
    /// Until when the worker shall get no work.
    pub quarantine_until: Timestamp,
    /// Why.
    pub quarantine_info: String,
}

/// A run that a worker claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentTask {
    /// Which task.
    pub task_id: TaskId,
    /// Which run.
    pub run_id: RunId,
}

/// A worker that has asked for work, or was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenWorker {
    /// Where it works.
    pub task_queue_id: String,
    /// Who it is.
    pub worker: Worker,
    /// When it is forgotten unless it is seen again.
    pub expires: Timestamp,
    /// When it was first seen.
    pub first_claim: Timestamp,
    /// When it was last seen.
    pub last_date_active: Option<Timestamp>,
    /// Until when it gets no work.
    pub quarantine_until: Option<Timestamp>,
    /// All quarantines, oldest first.
    pub quarantine_details: Vec<Quarantine>,
    /// The last runs that it claimed, oldest first.
    pub recent_tasks: Vec<RecentTask>,
}

impl SeenWorker {
    /// Is it to get no work?
    #[must_use]
    pub fn is_quarantined(&self, now: Timestamp) -> bool {
        self.quarantine_until.is_some_and(|until| until > now)
    }
}
