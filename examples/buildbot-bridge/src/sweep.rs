//! Orders that nobody wants any more: their task was cancelled, or came to its deadline or to the end of its retries, while no bridge
//! was there to take them back, or while the master was away.
//!
//! Level-triggered: it is looked at the start, each minute, and every two seconds while there is no answer. What was once unwanted
//! stays so, since a task that somebody runs again is [built again](crate::order::is_taken_over).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::TryStreamExt;
use taskcluster::queue::{Run, TaskIdsRequest};
use taskcluster_core::chain;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::Identity;
use tokio::time::sleep;

use crate::bridge::Bridge;
use crate::buildbot::BuildRequest;
use crate::order::{RUN_ID, TASK_ID, is_taken_over};

/// How often one looks.
const EACH: Duration = Duration::from_secs(60);

/// How often, while Buildbot or the queue does not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// Task ids in one question to the queue.
const TOGETHER: usize = 500;

/// Takes back what the bridge of this name has ordered, and nobody wants.
#[derive(Debug)]
pub(crate) struct Sweep {
    bridge: Bridge,
    identity: Identity,
}

/// An order that Buildbot is not done with.
#[derive(Debug)]
struct Open {
    request: u64,
    run: u32,
}

impl Sweep {
    pub(crate) fn new(bridge: Bridge, identity: Identity) -> Self {
        Self { bridge, identity }
    }

    /// Look again and again. Each failure is told once, until one look succeeds.
    pub(crate) async fn run(self) -> Infallible {
        let mut told = false;
        loop {
            let wait = match self.step().await {
                Ok(()) => {
                    told = false;
                    EACH
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(error, "cannot look for builds that nobody wants; trying again");
                    }
                    AGAIN
                }
            };
            sleep(wait).await;
        }
    }

    /// Look once. Buildbot before the queue: what is ordered meanwhile is not seen, and what is seen was ordered for a run that the
    /// queue knows.
    async fn step(&self) -> Result<(), String> {
        let open = self.bridge.buildbot.open_requests([TASK_ID, RUN_ID]).await.map_err(|error| error.to_string())?;
        let mut open = by_task(&open);
        let task_ids: Vec<TaskId> = open.keys().copied().collect();
        for some in task_ids.chunks(TOGETHER) {
            let asked = TaskIdsRequest::new().with_task_ids(some.to_vec());
            let mut statuses = std::pin::pin!(self.bridge.queue.statuses(&asked).stream());
            // A task that this deployment does not know is another's.
            while let Some(known) = statuses.try_next().await.map_err(|error| chain(&error).to_string())? {
                for order in open.remove(&known.task_id).unwrap_or_default() {
                    let ours = known.status.task_queue_id == self.identity.task_queue_id;
                    if ours && self.is_unwanted(&known.status.runs, order.run) {
                        self.take_back(known.task_id, &order).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether this bridge has ordered it, for a run that is over and that no other goes on with.
    fn is_unwanted(&self, runs: &[Run], ordered_for: u32) -> bool {
        let later = runs.iter().skip_while(|run| u32::from(run.run_id) != ordered_for);
        let Some(run) = later.clone().next() else { return false };
        let ours = run.worker_group.as_deref() == Some(&self.identity.worker_group)
            && run.worker_id.as_deref() == Some(&self.identity.worker_id);
        ours && !is_wanted(later)
    }

    async fn take_back(&self, task_id: TaskId, order: &Open) -> Result<(), String> {
        let (request, run) = (order.request, order.run);
        let reason = format!("task {task_id} has ended");
        match self.bridge.buildbot.cancel(request, &reason).await {
            Ok(()) => tracing::info!(task.id = %task_id, run.id = run, request, "took back a build that nobody wants"),
            Err(error) if error.passes() => return Err(error.to_string()),
            // It is looked at again in a minute; others are not to wait for it.
            Err(error) => {
                tracing::warn!(task.id = %task_id, run.id = run, request, %error, "cannot take back a build that nobody wants");
            }
        }
        Ok(())
    }
}

/// Whether any of these runs, the first of which has ordered a build, still waits for it.
fn is_wanted<'a>(mut runs: impl Iterator<Item = &'a Run>) -> bool {
    let Some(mut last) = runs.next() else { return false };
    for run in runs {
        if !is_taken_over(last, run) {
            return false;
        }
        last = run;
    }
    matches!(last.state.as_str(), "pending" | "running")
}

/// What is ordered by a bridge, whichever: it has the two properties.
fn by_task(requests: &[BuildRequest]) -> BTreeMap<TaskId, Vec<Open>> {
    let mut open: BTreeMap<TaskId, Vec<Open>> = BTreeMap::new();
    for request in requests {
        let task_id = request.property(TASK_ID).and_then(|id| id.parse().ok());
        let run = request.property(RUN_ID).and_then(|run| run.parse().ok());
        if let (Some(task_id), Some(run)) = (task_id, run) {
            open.entry(task_id).or_default().push(Open { request: request.buildrequestid, run });
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn runs(runs: &[Value]) -> Vec<Run> {
        let of = |(id, run): (usize, &Value)| {
            let mut run = run.clone();
            run["runId"] = id.into();
            run["scheduled"] = "2030-01-01T00:00:00.000Z".into();
            serde_json::from_value(run).unwrap()
        };
        runs.iter().enumerate().map(of).collect()
    }

    fn resolved(created: &str, state: &str, reason: &str) -> Value {
        json!({"state": state, "reasonCreated": created, "reasonResolved": reason})
    }

    #[test]
    fn an_order_is_wanted_as_long_as_a_run_waits_for_it() {
        let running = json!({"state": "running", "reasonCreated": "scheduled"});
        let next = |created: &str, state: &str| json!({"state": state, "reasonCreated": created});
        let away = resolved("scheduled", "exception", "claim-expired");
        for (wanted, history) in [
            (true, vec![running]),
            (true, vec![away.clone(), next("retry", "pending")]),
            (true, vec![away.clone(), resolved("retry", "exception", "worker-shutdown"), next("retry", "running")]),
            (false, vec![away.clone()]),
            (false, vec![resolved("scheduled", "exception", "canceled")]),
            (false, vec![resolved("scheduled", "exception", "deadline-exceeded")]),
            (false, vec![resolved("scheduled", "exception", "canceled"), next("rerun", "running")]),
            (false, vec![away.clone(), next("rerun", "running")]),
            (false, vec![away, resolved("retry", "completed", "completed")]),
            (false, vec![]),
        ] {
            assert_eq!(is_wanted(runs(&history).iter()), wanted, "{history:?}");
        }
    }
}
