#![doc = include_str!("../README.md")]

mod builder;
pub mod config;
mod engine;
mod isolation;
mod process;
mod results;
mod sandbox;
mod shell;
mod tree;
mod user;

pub use builder::{NativeWorker, NativeWorkerBuilder, NativeWorkerError};
pub use engine::NativeEngine;
pub use isolation::Isolation;
pub use taskcluster_worker::events::{Event, EventSink};
pub use taskcluster_worker::{Done, Outcome, Reason, Shutdown, WhyDone};
