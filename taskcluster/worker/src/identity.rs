//! Who this worker is.

use taskcluster_core::ids::TaskQueueId;

/// Who a worker is to the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The task queue (worker pool) that it takes tasks from.
    pub task_queue_id: TaskQueueId,
    /// A group of workers that live and die together, such as a region.
    pub worker_group: String,
    /// Unique in the group.
    pub worker_id: String,
}

impl Identity {
    /// A worker's identity.
    pub fn new(task_queue_id: TaskQueueId, worker_group: impl Into<String>, worker_id: impl Into<String>) -> Self {
        Self { task_queue_id, worker_group: worker_group.into(), worker_id: worker_id.into() }
    }
}
