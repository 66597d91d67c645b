//! Whoever says how long a worker is needed, such as a provisioner that started it.
//!
//! Without one, a worker goes by itself after [`Settings::idle_timeout`](crate::Settings::idle_timeout). With one, it asks first, and
//! stays if it is needed.
//!
//! ```
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use taskcluster_worker::overseer::{Needed, Overseer};
//!
//! /// Nobody needs a worker that was idle for an hour, nor one for whom a file says so.
//! #[derive(Debug)]
//! struct Patience;
//!
//! #[async_trait]
//! impl Overseer for Patience {
//!     async fn idle(&self, idle: Duration) -> Needed {
//!         if idle < Duration::from_secs(3600) { Needed::Yes } else { Needed::No("it was idle for an hour".to_owned()) }
//!     }
//!
//!     async fn dismissed(&self) -> String {
//!         while !std::path::Path::new("/run/go-away").exists() {
//!             tokio::time::sleep(Duration::from_secs(10)).await;
//!         }
//!         "there is a file that says so".to_owned()
//!     }
//! }
//! ```

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// Whether a worker is needed, and if not, why, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Needed {
    /// It stays.
    Yes,
    /// It takes no more tasks, and goes when those that it has have ended.
    No(String),
}

/// Says how long a worker is needed. Given to [`WorkerBuilder::overseer`](crate::WorkerBuilder::overseer).
///
/// Whoever is told that a worker is not needed may count on it: it asks the queue for no more tasks. A claim that is with the queue
/// at that moment is heard out, and the tasks that it may bring are run: those are the last.
#[async_trait]
pub trait Overseer: fmt::Debug + Send + Sync + 'static {
    /// Asked when the worker has had nothing to do for [`Settings::idle_timeout`](crate::Settings::idle_timeout), and again each
    /// time that it has waited so long since the last answer; `idle` is how long it has been idle in all. The worker goes on to ask for tasks meanwhile,
    /// and an answer counts even if it has got one. Nothing but the answer ends the question: put a timeout on whatever is asked.
    ///
    /// # Cancel safety
    /// The future is dropped if the worker is told to go otherwise.
    async fn idle(&self, idle: Duration) -> Needed;

    /// Waits until the worker is not needed any more, whether it has tasks or not, and says why. Default: for ever.
    ///
    /// # Cancel safety
    /// Called once; the future is dropped when the worker goes for another reason.
    async fn dismissed(&self) -> String {
        std::future::pending().await
    }
}
