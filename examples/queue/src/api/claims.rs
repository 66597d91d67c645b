//! Claiming runs and keeping them.

use taskcluster::queue as wire;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::scopes::Params;
use taskcluster_core::time::days;
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::store::{ApplyRefusal, Claimed};
use crate::task::{Claim, Event, Task, Worker};
use crate::{definition, wire as to_wire};

impl Api {
    /// Waits for work, at most [`Settings::claim_wait`](super::Settings::claim_wait); as soon as there is some it is
    /// answered, however little.
    pub(super) async fn claim_work(
        &self,
        call: &Call,
        task_queue_id: String,
        payload: wire::ClaimWorkRequest,
    ) -> Result<wire::ClaimWorkResponse, Failure> {
        let worker = Worker { group: payload.worker_group, id: payload.worker_id };
        call.authorize(Params::new().text("workerGroup", &worker.group).text("workerId", &worker.id)).await?;
        self.see(&task_queue_id, &worker).await?;
        let claimed = self.wait_for_work(&task_queue_id, &worker, payload.tasks).await?;
        let tasks = claimed.into_iter().map(|claimed| self.answer(claimed)).collect::<Result<Vec<_>, _>>()?;
        Ok(wire::ClaimWorkResponse::new(tasks))
    }

    async fn wait_for_work(&self, task_queue_id: &str, worker: &Worker, count: u32) -> Result<Vec<Claimed>, Failure> {
        let end = self.clock.now() + self.settings.claim_wait;
        let waiters = self.store.waiters();
        let bell = waiters.bell(task_queue_id);
        loop {
            if self.is_quarantined(task_queue_id, worker).await? {
                // It waits as if there was no work, and leaves what there is to others.
                drop(bell);
                waiters.wake(task_queue_id, 1);
                let _ = self.shutdown.run_until_cancelled(self.clock.sleep_until(end)).await;
                return Ok(Vec::new());
            }
            let mut rung = std::pin::pin!(bell.notified());
            // From here on no run can become pending without waking somebody.
            rung.as_mut().enable();
            let now = self.clock.now();
            let claimed =
                self.store.claim(task_queue_id, worker, count, now + self.settings.claim_timeout, now).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
            tokio::select! {
                () = rung => {}
                () = self.clock.sleep_until(end) => return Ok(Vec::new()),
                () = self.shutdown.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    fn answer(&self, claimed: Claimed) -> Result<wire::TaskClaim, Failure> {
        let Claimed { task, run, definition } = claimed;
        let claim = claim_on(&task, run)?;
        let credentials = self.task_credentials(&task, run, &claim, &definition)?;
        let definition = to_wire::definition(&definition, &task.priority)?;
        let (group, id) = (claim.worker.group, claim.worker.id);
        Ok(wire::TaskClaim::new(to_wire::status(&task), run, group, id, claim.taken_until, definition, credentials))
    }

    pub(super) async fn claim_task(
        &self,
        call: &Call,
        task_id: TaskId,
        run: RunId,
        payload: wire::TaskClaimRequest,
    ) -> Result<wire::TaskClaim, Failure> {
        let (task, definition) = self.store.task(task_id).await?.ok_or(ApplyRefusal::NoSuchTask(task_id))?;
        let worker = Worker { group: payload.worker_group, id: payload.worker_id };
        let params = Params::new()
            .text("provisionerId", task.provisioner_id())
            .text("workerType", task.worker_type())
            .text("workerGroup", &worker.group)
            .text("workerId", &worker.id);
        call.authorize(params).await?;
        let now = self.clock.now();
        self.store.saw_queue(&task.task_queue_id, now + days(5), now).await?;
        if self.is_quarantined(&task.task_queue_id, &worker).await? {
            return Err(Failure::conflict(format!(
                "worker {}/{} is quarantined and gets no work",
                worker.group, worker.id
            )));
        }
        let taken_until = now + self.settings.claim_timeout;
        let task = self.apply(task_id, Event::Claim { run, worker, taken_until }).await?;
        self.answer(Claimed { task, run, definition })
    }

    pub(super) async fn reclaim_task(
        &self,
        _call: &Call,
        task_id: TaskId,
        run: RunId,
    ) -> Result<wire::TaskReclaimResponse, Failure> {
        let taken_until = self.clock.now() + self.settings.claim_timeout;
        let task = self.apply(task_id, Event::Reclaim { run, taken_until }).await?;
        let claim = claim_on(&task, run)?;
        self.see(&task.task_queue_id, &claim.worker).await?;
        let (_, definition) = self.store.task(task_id).await?.ok_or(ApplyRefusal::NoSuchTask(task_id))?;
        let credentials = self.task_credentials(&task, run, &claim, &definition)?;
        let (group, id) = (claim.worker.group, claim.worker.id);
        Ok(wire::TaskReclaimResponse::new(to_wire::status(&task), run, group, id, claim.taken_until, credentials))
    }

    /// Credentials for the time of the claim: they are for this run alone, and carry the scopes of the task.
    fn task_credentials(
        &self,
        task: &Task,
        run: RunId,
        claim: &Claim,
        definition: &str,
    ) -> Result<wire::TaskCredentials, Failure> {
        let of_run = ["reclaim-task", "resolve-task", "create-artifact"]
            .map(|what| format!("queue:{what}:{}/{run}", task.task_id));
        let mut scopes = definition::scopes_of(definition).map_err(Failure::internal)?;
        scopes.splice(0..0, of_run);
        let name = client_id(task.task_id, run, claim);
        let issued = self
            .credentials
            .temporary(&scopes, self.clock.now(), claim.taken_until, Some(&name))
            .map_err(Failure::internal)?;
        Ok(on_the_wire(issued))
    }
}

/// `task-client/<taskId>/<runId>/on/<workerGroup>/<workerId>/until/<seconds>`
fn client_id(task_id: TaskId, run: RunId, claim: &Claim) -> String {
    let millis = claim.taken_until.as_millis();
    let until = if millis % 1000 == 0 {
        (millis / 1000).to_string()
    } else {
        format!("{}.{:03}", millis / 1000, millis % 1000)
    };
    format!("task-client/{task_id}/{run}/on/{}/{}/until/{until}", claim.worker.group, claim.worker.id)
}

pub(super) fn on_the_wire(credentials: Credentials) -> wire::TaskCredentials {
    let certificate = credentials.certificate.map(|certificate| certificate.to_json()).unwrap_or_default();
    wire::TaskCredentials::new(credentials.client_id, credentials.access_token, certificate)
}

pub(super) fn claim_on(task: &Task, run: RunId) -> Result<Claim, Failure> {
    let claim = task.run(run).and_then(|run| run.claim()).cloned();
    claim.ok_or_else(|| Failure::conflict(format!("run {run} of task {} is not claimed", task.task_id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskcluster_core::time::Timestamp;

    #[test]
    fn client_ids_name_the_run_and_its_worker() {
        let id: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap();
        let worker = Worker { group: "g".to_owned(), id: "w".to_owned() };
        let at = |millis| Claim {
            worker: worker.clone(),
            taken_until: Timestamp::from_millis(millis),
            started: Timestamp::from_millis(0),
        };
        assert_eq!(client_id(id, 1.into(), &at(5_000)), "task-client/fN1SbArXTPSVFNUvaOlinQ/1/on/g/w/until/5");
        assert_eq!(client_id(id, 1.into(), &at(5_020)), "task-client/fN1SbArXTPSVFNUvaOlinQ/1/on/g/w/until/5.020");
    }
}
