//! Notices that running tasks have been cancelled or have passed their deadline, within about a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::queue::{Queue, TaskIdsRequest, TaskStatus};
use taskcluster_core::RetryPolicy;
use taskcluster_core::ids::{RunId, TaskId};

use super::Running;
use crate::stop::Stop;
use crate::worker::Inner;
use taskcluster_core::chain;

/// How long an answer is waited for before the question is asked anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ask the queue about all running tasks in one call, again and again. What it cannot answer is left to the next reclaim.
pub(super) async fn watch(inner: &Arc<Inner>, running: &Running) -> Infallible {
    let queue = impatient(inner);
    let mut told = false;
    loop {
        inner.clock.sleep(inner.settings.cancel_poll).await;
        let known: Vec<(TaskId, RunId)> = running.lock().expect("nothing panics holding it").keys().copied().collect();
        if known.is_empty() {
            continue;
        }
        let request =
            TaskIdsRequest::new().with_task_ids(known.iter().map(|(task_id, _)| *task_id).collect::<Vec<_>>());
        let statuses = match queue.statuses(&request).await {
            Ok(response) => response.statuses,
            Err(error) => {
                if !told {
                    tracing::warn!(error = %chain(&error), "cannot ask for cancellations");
                }
                told = true;
                continue;
            }
        };
        told = false;
        for key in known {
            let gone =
                statuses.iter().find(|entry| entry.task_id == key.0).is_none_or(|entry| !runs(&entry.status, key.1));
            let task = running.lock().expect("nothing panics holding it").get(&key).cloned();
            if let Some(task) = task
                && gone
            {
                task.stop(Stop::Resolved);
            }
        }
    }
}

/// The queue, called once without repetition: the next question is one.
fn impatient(inner: &Inner) -> Queue {
    let retry = RetryPolicy::never().with_attempt_timeout(PATIENCE);
    let caller = inner.caller.to_builder().retry(retry).build();
    caller.map_or_else(|_| inner.queue.clone(), Queue::new)
}

/// Whether the queue believes that run to be under way.
fn runs(status: &TaskStatus, run_id: RunId) -> bool {
    status.runs.last().is_some_and(|run| run.run_id == run_id && run.state.as_str() == "running")
}
