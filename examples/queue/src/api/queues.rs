//! Task queues, provisioners and worker types: what they are and what waits in them.

use taskcluster::queue as wire;
use taskcluster_server::queue::{
    ListClaimedTasksQuery, ListPendingTasksQuery, ListProvisionersQuery, ListTaskQueuesQuery, ListWorkerTypesQuery,
};
use taskcluster_server::{Call, Failure};

use super::Api;
use super::pages::Page;
use crate::store::Place;
use crate::wire as to_wire;

fn halves(task_queue_id: &str) -> (&str, &str) {
    task_queue_id.split_once('/').unwrap_or((task_queue_id, ""))
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::not_found(format!("{what} {name:?} is not known: no worker has asked for its tasks lately"))
}

impl Api {
    pub(super) async fn list_task_queues(
        &self,
        _call: &Call,
        query: ListTaskQueuesQuery,
    ) -> Result<wire::ListTaskQueuesResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let mut rows = self.store.task_queues(page.after(0), page.rows(), self.clock.now()).await?;
        let token = page.cut(&mut rows, |queue| vec![queue.task_queue_id.clone()]);
        let mut answer = wire::ListTaskQueuesResponse::new(rows.iter().map(to_wire::task_queue));
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn get_task_queue(&self, _call: &Call, task_queue_id: String) -> Result<wire::TaskQueue, Failure> {
        let found = self.store.task_queue(&task_queue_id, self.clock.now()).await?;
        Ok(to_wire::task_queue(&found.ok_or_else(|| unknown("task queue", &task_queue_id))?))
    }

    pub(super) async fn pending_tasks(
        &self,
        _call: &Call,
        task_queue_id: String,
    ) -> Result<wire::PendingTasksResponse, Failure> {
        let counts = self.store.counts(&task_queue_id, self.clock.now()).await?;
        let (provisioner, worker_type) = halves(&task_queue_id);
        Ok(wire::PendingTasksResponse::new(
            to_wire::task_queue_id(&task_queue_id),
            provisioner,
            worker_type,
            counts.pending,
        ))
    }

    pub(super) async fn task_queue_counts(
        &self,
        _call: &Call,
        task_queue_id: String,
    ) -> Result<wire::TaskQueueCountsResponse, Failure> {
        let counts = self.store.counts(&task_queue_id, self.clock.now()).await?;
        let (provisioner, worker_type) = halves(&task_queue_id);
        let id = to_wire::task_queue_id(&task_queue_id);
        Ok(wire::TaskQueueCountsResponse::new(id, provisioner, worker_type, counts.pending, counts.claimed))
    }

    pub(super) async fn list_pending_tasks(
        &self,
        _call: &Call,
        task_queue_id: String,
        query: ListPendingTasksQuery,
    ) -> Result<wire::ListPendingTasksResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let part = self.store.pending(&task_queue_id, page.number_after(0), page.limit(), self.clock.now()).await?;
        let token = Page::next(&part, |run| vec![run.position.to_string()]);
        let tasks = part.rows.iter().map(|run| {
            let definition = to_wire::definition(&run.definition, &run.priority)?;
            Ok(wire::PendingTask::new(run.task_id, run.run_id, definition, run.inserted))
        });
        let mut answer = wire::ListPendingTasksResponse::new(tasks.collect::<Result<Vec<_>, Failure>>()?);
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn list_claimed_tasks(
        &self,
        _call: &Call,
        task_queue_id: String,
        query: ListClaimedTasksQuery,
    ) -> Result<wire::ListClaimedTasksResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let place = Place { claimed: page.number_after(0), task_id: page.after(1).to_owned() };
        let part = self.store.claimed(&task_queue_id, &place, page.limit(), self.clock.now()).await?;
        let token = Page::next(&part, |run| vec![run.claimed.as_millis().to_string(), run.task_id.to_string()]);
        let tasks = part.rows.iter().map(|run| {
            let definition = to_wire::definition(&run.definition, &run.priority)?;
            let (group, id) = (run.worker.group.as_str(), run.worker.id.as_str());
            Ok(wire::ClaimedTask::new(run.task_id, run.run_id, definition, group, id, run.claimed))
        });
        let mut answer = wire::ListClaimedTasksResponse::new(tasks.collect::<Result<Vec<_>, Failure>>()?);
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn list_provisioners(
        &self,
        _call: &Call,
        query: ListProvisionersQuery,
    ) -> Result<wire::ListProvisionersResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let mut rows = self.store.provisioners(page.after(0), page.rows(), self.clock.now()).await?;
        let token = page.cut(&mut rows, |provisioner| vec![provisioner.provisioner_id.clone()]);
        let mut answer = wire::ListProvisionersResponse::new(rows.iter().map(to_wire::provisioner));
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn get_provisioner(
        &self,
        _call: &Call,
        provisioner_id: String,
    ) -> Result<wire::Provisioner, Failure> {
        let found = self.store.provisioner(&provisioner_id, self.clock.now()).await?;
        Ok(to_wire::provisioner(&found.ok_or_else(|| unknown("provisioner", &provisioner_id))?))
    }

    pub(super) async fn list_worker_types(
        &self,
        _call: &Call,
        provisioner_id: String,
        query: ListWorkerTypesQuery,
    ) -> Result<wire::ListWorkerTypesResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let mut rows = self.store.task_queues_of(&provisioner_id, page.after(0), page.rows(), self.clock.now()).await?;
        let token = page.cut(&mut rows, |queue| vec![queue.task_queue_id.clone()]);
        let mut answer = wire::ListWorkerTypesResponse::new(rows.iter().map(to_wire::worker_type));
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn get_worker_type(
        &self,
        _call: &Call,
        provisioner_id: String,
        worker_type: String,
    ) -> Result<wire::WorkerType, Failure> {
        let name = format!("{provisioner_id}/{worker_type}");
        let found = self.store.task_queue(&name, self.clock.now()).await?;
        Ok(to_wire::worker_type(&found.ok_or_else(|| unknown("worker type", &name))?))
    }
}
