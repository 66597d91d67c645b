//! What the queue says of a worker type: what waits, what is being done and by whom.

use std::collections::HashMap;

use taskcluster::queue::Queue;
use taskcluster_core::time::Timestamp;

use crate::decide::Demand;
use crate::life::Activity;

/// What the queue says of the workers of a type, by group and id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers(HashMap<(String, String), Activity>);

impl Workers {
    /// Of one of them.
    pub(crate) fn get(&self, worker_group: &str, worker_id: &str) -> Option<Activity> {
        self.0.get(&(worker_group.to_owned(), worker_id.to_owned())).copied()
    }
}

/// How much there is to do.
pub(crate) async fn demand(
    queue: &Queue,
    task_queue_id: &str,
    now: Timestamp,
) -> Result<Demand, taskcluster_core::Error> {
    let counts = queue.task_queue_counts(task_queue_id).await?;
    let mut demand =
        Demand { pending: amount(counts.pending_tasks), claimed: amount(counts.claimed_tasks), ..Demand::default() };
    if demand.pending > 0 {
        let first = queue.list_pending_tasks(task_queue_id).limit(1).send().await?;
        demand.oldest = first.tasks.first().map(|task| now.since(task.inserted)).unwrap_or_default();
    }
    Ok(demand)
}

fn amount(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Who there is, and how many tasks each holds.
pub(crate) async fn workers(
    queue: &Queue,
    provisioner_id: &str,
    worker_type: &str,
) -> Result<Workers, taskcluster_core::Error> {
    let mut workers = HashMap::new();
    for worker in queue.list_workers(provisioner_id, worker_type).all().await? {
        let last_active = worker.last_date_active.unwrap_or(worker.first_claim);
        let activity = Activity { last_active, quarantined_until: worker.quarantine_until, claims: 0 };
        workers.insert((worker.worker_group, worker.worker_id), activity);
    }
    for task in queue.list_claimed_tasks(&format!("{provisioner_id}/{worker_type}")).all().await? {
        let activity = workers.entry((task.worker_group, task.worker_id));
        let unknown = Activity { last_active: task.claimed, quarantined_until: None, claims: 0 };
        activity.or_insert(unknown).claims += 1;
    }
    Ok(Workers(workers))
}
