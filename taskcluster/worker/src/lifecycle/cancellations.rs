//! Notices that running tasks have been cancelled or have passed their deadline, within about a second.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::queue::{TaskIdsRequest, TaskStatus};
use taskcluster_core::ids::{RunId, TaskId};

use super::Running;
use super::ears::Ears;
use crate::outcome::NotOurs;
use crate::stop::Stop;
use crate::worker::Inner;
use taskcluster_core::chain;

/// How long an answer is waited for before the question is asked anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where there are events, the queue is asked without a reason only each so many times.
const SWEEP: u32 = 20;

/// Ask the queue about all running tasks in one call, again and again; where there are events, when they say that it is
/// worth it. What it cannot answer is left to the next reclaim.
///
/// A run that has not been asked about yet is asked about at once, since what was published before it was known here says
/// nothing to anybody.
pub(super) async fn watch(inner: &Arc<Inner>, running: &Running) -> Infallible {
    let mut ears = Ears::of(inner);
    let (mut asked, mut passed, mut told) = (BTreeSet::new(), 0, false);
    loop {
        let heard = ears.hear_until(inner.clock.sleep(inner.settings.cancel_poll)).await;
        let known: BTreeSet<(TaskId, RunId)> =
            running.lock().expect("nothing panics holding it").keys().copied().collect();
        if known.is_empty() {
            continue;
        }
        passed += 1;
        if !heard && ears.are_open() && passed < SWEEP && known.is_subset(&asked) {
            continue;
        }
        passed = 0;
        let request =
            TaskIdsRequest::new().with_task_ids(known.iter().map(|(task_id, _)| *task_id).collect::<Vec<_>>());
        // Not again: the next question is one.
        let request = inner.queue.statuses(&request).retries(0).attempt_timeout(PATIENCE);
        let statuses = match request.await {
            Ok(response) => response.statuses,
            Err(error) => {
                if !told {
                    tracing::warn!(error = %chain(&error), "cannot ask for cancellations");
                }
                told = true;
                asked.clear();
                continue;
            }
        };
        told = false;
        for key in &known {
            let status = statuses.iter().find(|entry| entry.task_id == key.0).map(|entry| &entry.status);
            let gone = status.is_none_or(|status| !runs(status, key.1));
            let task = running.lock().expect("nothing panics holding it").get(key).cloned();
            if let Some(task) = task
                && gone
            {
                task.stop(Stop::NotOurs(why(status, key.1)));
            }
        }
        asked = known;
    }
}

/// Why that run is over, where the queue says more than that it is. Asks once.
pub(super) async fn why_over(inner: &Inner, (task_id, run_id): (TaskId, RunId)) -> Option<NotOurs> {
    let request = TaskIdsRequest::new().with_task_ids(vec![task_id]);
    let answer = inner.queue.statuses(&request).retries(0).attempt_timeout(PATIENCE).await.ok()?;
    let status = answer.statuses.iter().find(|entry| entry.task_id == task_id).map(|entry| &entry.status);
    match why(status, run_id) {
        over @ (NotOurs::Cancelled | NotOurs::PastDeadline | NotOurs::ClaimLost) => Some(over),
        NotOurs::Resolved => None,
    }
}

/// Whether the queue believes that run to be under way.
fn runs(status: &TaskStatus, run_id: RunId) -> bool {
    status.runs.last().is_some_and(|run| run.run_id == run_id && run.state.as_str() == "running")
}

/// Why that run is over, as far as the queue says.
fn why(status: Option<&TaskStatus>, run_id: RunId) -> NotOurs {
    let run = status.and_then(|status| status.runs.iter().find(|run| run.run_id == run_id));
    match run.and_then(|run| run.reason_resolved.as_ref()).map(|reason| reason.as_str()) {
        Some("canceled") => NotOurs::Cancelled,
        Some("deadline-exceeded") => NotOurs::PastDeadline,
        // A worker that was suspended, or could not reach the queue: the task goes on in another run.
        Some("claim-expired") => NotOurs::ClaimLost,
        _ => NotOurs::Resolved,
    }
}
