//! A task until it is resolved.

use std::time::Duration;

use anyhow::Result;
use taskcluster::queue::{TaskState, TaskStatus};
use taskcluster::{TaskId, Taskcluster};

use super::{line_of, unserved};
use crate::exit::Outcome;
use crate::output::Output;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells each change of the task and its last run; green if it is completed.
pub(super) async fn watch(tc: &Taskcluster, task: &TaskId, json: bool) -> Result<Outcome> {
    let mut output = Output::telling_in_lines(json);
    let mut last = String::new();
    let mut asked = false;
    loop {
        let status = tc.queue().status(task).await?.status;
        let line = told(&status);
        if line != last {
            // Written out at once: somebody waits for it.
            output.tell(&status, |_| line.clone())?;
            last = line;
        }
        if status.state == TaskState::Pending && !asked {
            asked = true;
            if let Some(note) = unserved(tc, &status.task_queue_id).await {
                eprintln!("note: {note}");
            }
        }
        match status.state {
            TaskState::Completed => return Ok(Outcome::Green),
            TaskState::Failed | TaskState::Exception => return Ok(Outcome::NotGreen),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// How it stands, in a line.
fn told(status: &TaskStatus) -> String {
    status.runs.last().map_or_else(|| status.state.to_string(), line_of)
}
