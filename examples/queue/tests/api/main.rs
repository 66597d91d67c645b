//! The queue as its callers see it: the generated client against the generated router, in one process, on a clock that
//! stands still.
//!
//! One file for each group of methods; the names say the behaviour.

mod artifacts;
mod claims;
mod dependencies;
mod groups;
mod loops;
mod objects;
mod queues;
mod resolutions;
mod tasks;
mod tester;
mod waiting;
mod workers;
