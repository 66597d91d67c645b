#![doc = include_str!("../README.md")]

mod accounts;
mod builder;
mod cgroup;
pub mod config;
mod doctor;
mod engine;
mod execution;
mod groups;
mod isolation;
mod nproc;
mod owner;
mod payload;
mod proc;
mod process;
mod results;
mod sandbox;
mod shell;
mod tree;
mod usage;
mod user;
mod users;

pub use builder::{NativeWorker, NativeWorkerBuilder, NativeWorkerError};
pub use engine::{Limits, NativeEngine};
pub use isolation::Isolation;
pub use taskcluster_worker::events::{Event, EventSink};
pub use taskcluster_worker::{Done, Outcome, Reason, Shutdown, WhyDone};
