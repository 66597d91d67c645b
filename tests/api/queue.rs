//! The queue.

mod artifacts;
mod claim_work;
mod create_task;
