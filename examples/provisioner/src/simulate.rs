//! Trying policies before anything is bought: what would have become of these tasks, how long they would have waited, and what it would
//! have cost. In virtual time: nothing is asked of anybody, and the same trace gives the same numbers.
//!
//! The world here is simpler than the real one, and says so: workers are as the queue's tasks find them, prices stand still, and a pass sees
//! everything at once. What decides is the real thing: [`policy`](crate::policy) and [`choose`](crate::choose).

pub mod generate;
pub mod record;
pub mod report;
pub mod trace;
mod world;

pub use world::{Outcome, Settings, run};
