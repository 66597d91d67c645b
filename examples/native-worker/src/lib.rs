#![doc = include_str!("../README.md")]

mod accounts;
mod bridge;
mod builder;
mod cgroup;
pub mod config;
mod crowd;
mod devices;
pub mod doctor;
mod engine;
mod execution;
mod groups;
mod isolation;
mod limits;
mod nproc;
mod owner;
mod payload;
mod privileges;
mod proc;
mod process;
mod results;
mod sandbox;
mod shell;
mod task_dir;
mod tree;
mod usage;
mod user;
mod users;

pub use builder::{NativeWorker, NativeWorkerBuilder, NativeWorkerError};
pub use devices::LoopbackDevices;
pub use engine::NativeEngine;
pub use isolation::Isolation;
pub use limits::Limits;
pub use taskcluster_worker::events::{Event, EventSink};
pub use taskcluster_worker::{Done, Outcome, Reason, Shutdown, WhyDone};
