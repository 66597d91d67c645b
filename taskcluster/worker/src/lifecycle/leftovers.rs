//! Runs of a former life: the queue believes this worker to be running them, but it has only just started.

use std::sync::Arc;

use taskcluster::queue::{Queue, TaskClaimRequest, TaskExceptionRequest};
use taskcluster_core::Error;
use taskcluster_core::credentials::SharedCredentials;
use taskcluster_core::ids::{RunId, TaskId};

use super::attend::credentials;
use crate::worker::Inner;
use taskcluster_core::chain;

/// Give them back, so that the queue need not wait until their claims expire. What cannot be done is left to that.
pub(super) async fn give_back(inner: &Arc<Inner>) {
    let identity = &inner.identity;
    let pool = &identity.task_queue_id;
    let call =
        inner.queue.get_worker(pool.provisioner_id(), pool.worker_type(), &identity.worker_group, &identity.worker_id);
    let recent = match call.await {
        Ok(worker) => worker.recent_tasks,
        Err(error) => {
            tracing::debug!(error = %chain(&error), "the queue knows of no former life of this worker");
            return;
        }
    };
    for task in recent {
        match give_back_run(inner, task.task_id, task.run_id).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(task.id = %task.task_id, run.id = %task.run_id, "given back a run of a former life")
            }
            Err(message) => tracing::warn!(task.id = %task.task_id, message, "cannot give back a run of a former life"),
        }
    }
}

#[expect(deprecated, reason = "claimTask is the only call that gives a worker the credentials of a run once more")]
async fn give_back_run(inner: &Arc<Inner>, task_id: TaskId, run_id: RunId) -> Result<bool, String> {
    let told = |error: Error| chain(&error).to_string();
    let identity = &inner.identity;
    let status = match inner.queue.status(&task_id).await {
        Ok(response) => response.status,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(told(error)),
    };
    let ours = status.runs.last().is_some_and(|run| {
        run.run_id == run_id
            && run.state.as_str() == "running"
            && run.worker_group.as_deref() == Some(&identity.worker_group)
            && run.worker_id.as_deref() == Some(&identity.worker_id)
    });
    if !ours {
        return Ok(false);
    }
    // Claiming again what one has claimed gives the credentials that the former life took with it.
    let request = TaskClaimRequest::new(&identity.worker_group, &identity.worker_id);
    let claim = inner.queue.claim_task(&task_id, run_id, &request).await.map_err(told)?;
    let caller = inner.caller_of(SharedCredentials::new(credentials(&claim.credentials)?)).map_err(told)?;
    let exception = TaskExceptionRequest::new("worker-shutdown");
    Queue::new(caller).report_exception(&task_id, run_id, &exception).await.map_err(told)?;
    Ok(true)
}
