//! The plugins that come with the runtime.

mod artifacts;
mod env;
mod exit_status;
mod live_log;
mod max_run_time;
mod mounts;
mod proxy;
mod task_log;

pub use artifacts::Artifacts;
pub use env::Env;
pub use exit_status::ExitStatus;
pub use live_log::{LIVE_LOG, LiveLog};
pub use max_run_time::MaxRunTime;
pub use mounts::{MountLimits, Mounts};
pub use proxy::Proxy;
pub use task_log::{BACKING_LOG, BackingLog};
