//! Identities and ranks: parsed once at the edge, then trusted.

mod priority;
mod run_id;
mod task_id;
mod task_queue_id;

pub use priority::Priority;
pub use run_id::RunId;
pub use task_id::{InvalidTaskId, TaskId};
pub use task_queue_id::{InvalidTaskQueueId, TaskQueueId};
