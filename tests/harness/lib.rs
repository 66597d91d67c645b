//! Starts deployments and drives them in verbs, for end-to-end tests.
//!
//! - [`Deployment`] is auth, queue, index, object, purge-cache and scheduler service in this process, behind a real listener on loopback, on
//!   [either database](Backend), with a clock that a test moves or the system's.
//! - [`Tester`] speaks to it as a user and as a worker do: over HTTP, signed, with the SDK.
//! - [`Process`] is the real program `taskcluster up`, to be killed and started again; beside it the [`Broker`] that it may publish to.
//! - [`Machine`] is the real program of a worker, which takes tasks from a deployment.
//!
//! Whatever waits in a test goes through [`soon`], so that nothing hangs.

mod backend;
mod broker;
mod deployment;
mod machine;
mod process;
mod tester;

use std::time::Duration;

pub use backend::Backend;
pub use broker::Broker;
pub use deployment::{Deployment, Options};
pub use machine::Machine;
pub use process::{Ground, Process, built, program};
pub use tester::{Claimed, Tester, task};

/// The future's outcome, or a failed test if it takes minutes: far longer than anything takes on a busy machine.
///
/// # Panics
/// After three minutes.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(180), future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("nothing happened for minutes"),
    }
}

/// Asks again and again until there is an answer, which may take a while where a loop in the background does the work.
///
/// # Panics
/// After three minutes.
pub async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    soon(async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
