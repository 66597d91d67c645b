//! Task groups.

use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

/// Tasks that belong together; all have the same scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who it is; often also the id of its first task.
    pub task_group_id: TaskId,
    /// The scheduler of all its tasks.
    pub scheduler_id: String,
    /// When it may be deleted: after its last task.
    pub expires: Timestamp,
    /// When it was closed to new tasks.
    pub sealed: Option<Timestamp>,
    /// How many of its tasks have never been resolved.
    pub unresolved: i64,
}
