//! The plugins that come with the runtime.

pub mod artifacts;
mod chain_of_trust;
mod door;
mod env;
mod exit_status;
#[cfg(feature = "interactive")]
mod interactive;
mod live_log;
mod max_run_time;
mod max_silence;
mod memory_guard;
mod mounts;
mod proxy;
mod shelf;
mod task_log;

#[doc(inline)]
pub use artifacts::Artifacts;
pub use chain_of_trust::{ADDITIONAL_DATA, CERTIFIED_LOG, CHAIN_OF_TRUST, ChainOfTrust, KeyError, SigningKey};
pub use door::Entrance;
pub use env::Env;
pub use exit_status::{ExitStatus, RetriedCodes};
#[cfg(feature = "interactive")]
pub use interactive::{Interactive, Linger, SHELL, ShellPage};
pub use live_log::{LIVE_LOG, LiveLog, LiveLogSettings};
pub use max_run_time::MaxRunTime;
pub use max_silence::MaxSilence;
pub use memory_guard::{MemoryGuard, MemoryLimits};
pub use mounts::{MountLimits, Mounts};
pub use proxy::Proxy;
pub use task_log::{BACKING_LOG, BackingLog, BackingLogSettings};
