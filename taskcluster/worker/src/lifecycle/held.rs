//! Runs that the queue believes this worker to be running.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use taskcluster::queue::{TaskClaim, TaskClaimRequest, TaskIdsRequest};
use taskcluster_core::Error;
use taskcluster_core::ids::{RunId, TaskId};

use crate::worker::Inner;

/// A run, by its task and number.
pub(super) type RunKey = (TaskId, RunId);

/// The queue remembers so many of a worker's claims, and no older ones.
const ALL_RECENT: usize = 20;

/// The runs that the queue believes this worker to be running, as far as the worker's client may see them: from what it claimed
/// of late, and from what of its task queue is claimed. `worth` says which are worth a question.
pub(super) async fn held(inner: &Inner, worth: impl Fn(&RunKey) -> bool) -> Result<Vec<RunKey>, Error> {
    let mut runs = candidates(inner).await?;
    runs.retain(worth);
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let task_ids: Vec<TaskId> = runs.iter().map(|(task_id, _)| *task_id).collect();
    let request = TaskIdsRequest::new().with_task_ids(task_ids);
    let mut statuses = std::pin::pin!(inner.queue.statuses(&request).stream());
    let mut held = Vec::new();
    while let Some(entry) = statuses.try_next().await? {
        let Some(run) = entry.status.runs.last() else { continue };
        let key = (entry.task_id, run.run_id);
        let identity = &inner.identity;
        let ours = run.state.as_str() == "running"
            && run.worker_group.as_deref() == Some(&identity.worker_group)
            && run.worker_id.as_deref() == Some(&identity.worker_id);
        if ours && runs.contains(&key) {
            held.push(key);
        }
    }
    Ok(held)
}

/// Those that the worker claimed of late; where they may not be all, those of the whole task queue, which is a long list.
async fn candidates(inner: &Inner) -> Result<BTreeSet<RunKey>, Error> {
    let mut runs = match recent(inner).await {
        Ok(runs) if runs.len() < ALL_RECENT => return Ok(runs),
        Ok(runs) => runs,
        // It has never claimed anything.
        Err(error) if error.is_not_found() => return Ok(BTreeSet::new()),
        Err(error) if error.is_forbidden() => BTreeSet::new(),
        Err(error) => return Err(error),
    };
    match claimed(inner).await {
        Ok(claimed) => runs.extend(claimed),
        Err(error) if error.is_not_found() || error.is_forbidden() => {}
        Err(error) => return Err(error),
    }
    Ok(runs)
}

async fn recent(inner: &Inner) -> Result<BTreeSet<RunKey>, Error> {
    let (pool, identity) = (&inner.identity.task_queue_id, &inner.identity);
    let (group, id) = (&identity.worker_group, &identity.worker_id);
    let worker = inner.queue.get_worker(pool.provisioner_id(), pool.worker_type(), group, id).await?;
    if let Some(until) = worker.quarantine_until.filter(|until| *until > inner.clock.now()) {
        tracing::warn!(%until, "this worker is in quarantine: it gets no tasks until then, or until that is lifted (queue.quarantineWorker)");
    }
    Ok(worker.recent_tasks.into_iter().map(|task| (task.task_id, task.run_id)).collect())
}

async fn claimed(inner: &Inner) -> Result<BTreeSet<RunKey>, Error> {
    let identity = &inner.identity;
    let tasks = inner.queue.list_claimed_tasks(identity.task_queue_id.as_ref()).stream();
    tasks
        .try_filter(|task| {
            let ours = task.worker_group == identity.worker_group && task.worker_id == identity.worker_id;
            std::future::ready(ours)
        })
        .map_ok(|task| (task.task_id, task.run_id))
        .try_collect()
        .await
}

/// Claim again what this worker has claimed already, which gives it the credentials of the run once more.
#[expect(deprecated, reason = "claimTask is the only call that gives a worker the credentials of a run once more")]
pub(super) async fn claim_again(inner: &Inner, (task_id, run_id): RunKey) -> Result<TaskClaim, Error> {
    let request = TaskClaimRequest::new(&inner.identity.worker_group, &inner.identity.worker_id);
    inner.queue.claim_task(&task_id, run_id, &request).await
}
