//! Workers.

use taskcluster::queue as wire;
use taskcluster_core::scopes::Params;
use taskcluster_server::arguments::path_pattern;
use taskcluster_server::queue::ListWorkersQuery;
use taskcluster_server::{Call, Failure};

use super::Api;
use super::pages::Page;
use crate::task::Worker;
use crate::wire as to_wire;
use crate::worker::Quarantine;

fn unknown(task_queue_id: &str, worker: &Worker) -> Failure {
    Failure::not_found(format!("worker {}/{} of {task_queue_id} is not known", worker.group, worker.id))
}

impl Api {
    pub(super) async fn list_workers(
        &self,
        _call: &Call,
        provisioner_id: String,
        worker_type: String,
        query: ListWorkersQuery,
    ) -> Result<wire::ListWorkersResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let now = self.clock.now();
        let queue = format!("{provisioner_id}/{worker_type}");
        let after = Worker { group: page.after(0).to_owned(), id: page.after(1).to_owned() };
        let mut rows = self.store.workers(&queue, query.quarantined, &after, page.rows(), now).await?;
        let token = page.cut(&mut rows, |seen| vec![seen.worker.group.clone(), seen.worker.id.clone()]);
        let mut answer = wire::ListWorkersResponse::new(rows.iter().map(|seen| to_wire::listed_worker(seen, now)));
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn get_worker(
        &self,
        _call: &Call,
        provisioner_id: String,
        worker_type: String,
        worker_group: String,
        worker_id: String,
    ) -> Result<wire::Worker, Failure> {
        let now = self.clock.now();
        let (queue, worker) =
            (format!("{provisioner_id}/{worker_type}"), Worker { group: worker_group, id: worker_id });
        let found = self.store.worker(&queue, &worker).await?;
        let found = found.filter(|seen| seen.expires > now || seen.is_quarantined(now));
        Ok(to_wire::worker(&found.ok_or_else(|| unknown(&queue, &worker))?, now))
    }

    pub(super) async fn quarantine_worker(
        &self,
        call: &Call,
        provisioner_id: String,
        worker_type: String,
        worker_group: String,
        worker_id: String,
        payload: wire::QuarantineWorkerRequest,
    ) -> Result<wire::Worker, Failure> {
        let now = self.clock.now();
        let (queue, worker) =
            (format!("{provisioner_id}/{worker_type}"), Worker { group: worker_group, id: worker_id });
        let quarantine = Quarantine {
            client_id: call.client_id().await?.to_owned(),
            updated_at: now,
            quarantine_until: payload.quarantine_until,
            quarantine_info: payload.quarantine_info.unwrap_or_else(|| "[unspecified]".to_owned()),
        };
        let found = self.store.quarantine_worker(&queue, &worker, quarantine, now).await?;
        self.forget_quarantine(&queue, &worker);
        let mut answer = to_wire::worker(&found.ok_or_else(|| unknown(&queue, &worker))?, now);
        answer.quarantine_until = Some(payload.quarantine_until);
        answer.quarantine_details = None;
        Ok(answer)
    }

    pub(super) async fn declare_worker(
        &self,
        call: &Call,
        provisioner_id: String,
        worker_type: String,
        worker_group: String,
        worker_id: String,
        payload: wire::DeclareWorkerRequest,
    ) -> Result<wire::Worker, Failure> {
        call.authorize(Params::new().list("properties", ["expires"])).await?;
        let now = self.clock.now();
        let (queue, worker) =
            (format!("{provisioner_id}/{worker_type}"), Worker { group: worker_group, id: worker_id });
        if !(path_pattern("taskQueueId").matches)(&queue) {
            return Err(Failure::input_error(format!("no task can be for the worker type {worker_type:?}")));
        }
        let declared = self.store.declare_worker(&queue, &worker, payload.expires, now).await?;
        Ok(to_wire::worker(&declared, now))
    }
}
