#![doc = include_str!("../README.md")]

pub mod artifacts;
mod blocking;
pub mod caches;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod context;
#[cfg(feature = "decode")]
pub mod decode;
pub mod engine;
pub mod error;
pub mod events;
pub mod function;
pub mod identity;
mod lifecycle;
pub mod local;
pub mod log;
pub mod notices;
pub mod outcome;
pub mod overseer;
pub mod payload;
mod peer;
pub mod plugin;
pub mod plugins;
mod run;
pub mod shell;
pub mod shutdown;
mod size;
pub mod stop;
#[cfg(feature = "testing")]
pub mod testing;
mod tree;
#[cfg(feature = "tunnel")]
pub mod tunnel;
mod wire;
pub mod worker;

pub use context::TaskContext;
pub use engine::{Engine, Exit, ResultSet, Sandbox, SandboxBuilder, SandboxHandle, Volume};
pub use error::{Error, Result};
pub use events::Event;
pub use identity::Identity;
pub use outcome::{Outcome, Reason};
pub use overseer::{Needed, Overseer};
pub use payload::{NotAPart, Payload, PayloadForm, PayloadPart, PayloadSchema};
pub use plugin::{Plugin, TaskPlugin, Verdict};
pub use shutdown::Shutdown;
pub use size::size;
pub use tree::remove_tree;
pub use worker::{Done, Settings, WhyDone, Worker, WorkerBuilder, WorkerError};

/// A path segment that nobody guesses: 244 random bits.
fn secret_segment() -> String {
    format!("{}{}", taskcluster_core::TaskId::new(), taskcluster_core::TaskId::new())
}
