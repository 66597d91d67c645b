//! Runs of a former life: the queue believes this worker to be running them, but it has only just started.

use taskcluster::queue::{Queue, TaskExceptionRequest};
use taskcluster_core::credentials::SharedCredentials;
use taskcluster_core::{Error, chain};

use super::attend::credentials;
use super::held::{RunKey, claim_again, held};
use crate::worker::Inner;

/// Give them back, so that the queue need not wait until their claims expire. What cannot be done is left to that.
pub(super) async fn give_back_all(inner: &Inner) {
    match held(inner, |_| true).await {
        Ok(runs) => {
            for run in runs {
                give_back(inner, run).await;
            }
        }
        Err(error) => tracing::warn!(error = %chain(&error), "cannot ask for runs of a former life"),
    }
}

/// Give back a run that the queue believes this worker to be running.
pub(super) async fn give_back(inner: &Inner, run: RunKey) {
    let (task_id, run_id) = run;
    match try_to_give_back(inner, run).await {
        Ok(()) => tracing::info!(task.id = %task_id, run.id = %run_id, "given back a run that is not under way here"),
        Err(message) => tracing::warn!(task.id = %task_id, run.id = %run_id, message, "cannot give back a run"),
    }
}

async fn try_to_give_back(inner: &Inner, run: RunKey) -> Result<(), String> {
    let told = |error: Error| chain(&error).to_string();
    let claim = claim_again(inner, run).await.map_err(told)?;
    let caller = inner.caller_of(SharedCredentials::new(credentials(&claim.credentials)?)).map_err(told)?;
    let exception = TaskExceptionRequest::new("worker-shutdown");
    Queue::new(caller).report_exception(&run.0, run.1, &exception).await.map(drop).map_err(told)
}
