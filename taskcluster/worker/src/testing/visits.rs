//! Visitors of the shells in a test's tasks.

use std::time::Duration;

use futures_util::stream;
use taskcluster_core::ids::TaskId;
use url::Url;

use super::FakeQueue;
use super::queue::PATIENCE;
use crate::plugins::{Linger, SHELL};
use crate::shell::client::{ShellError, Terminal, attend};
use crate::shell::{ShellRequest, Size};

/// A task stays for nobody who is not there.
pub const BRIEFLY: Linger = Linger { from_start: Duration::ZERO, after_shell: Duration::ZERO };

/// Where the shells of a task are, once they can be opened.
///
/// # Panics
/// It takes minutes.
pub async fn shells_of(queue: &FakeQueue, task_id: &TaskId) -> Url {
    queue.until(|queue| queue.artifact(task_id, SHELL).is_some()).await;
    let artifact = queue.artifact(task_id, SHELL).expect("it is there");
    artifact.created["url"].as_str().and_then(|url| url.parse().ok()).expect("it leads somewhere")
}

/// Open a shell, type `input`, and wait for its end: what it printed, what it printed as errors, and its exit code.
///
/// # Errors
/// As [`attend`].
///
/// # Panics
/// It takes minutes.
pub async fn visit(address: &Url, request: ShellRequest, input: &[u8]) -> Result<(Vec<u8>, Vec<u8>, i32), ShellError> {
    let (mut output, mut error) = (Vec::new(), Vec::new());
    let terminal = Terminal { input, output: &mut output, error: &mut error, sizes: stream::pending::<Size>() };
    let code = tokio::time::timeout(PATIENCE, attend(address, request, terminal)).await.expect("it ends")?;
    Ok((output, error, code))
}
