//! Making graphs, ending them, and having them run again.

use taskcluster::scheduler as wire;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::Params;
use taskcluster_server::{Call, Failure};

use super::{Api, graph_id, no_graph};

impl Api {
    pub(super) async fn create(
        &self,
        call: &Call,
        id: &str,
        payload: wire::CreateTaskGraphRequest,
    ) -> Result<wire::TaskGraphStatusResponse, Failure> {
        let (scopes, routes) = (payload.scopes.iter().flatten(), payload.routes.iter().flatten());
        call.authorize(Params::new().list("scopes", scopes.cloned()).list("routes", routes.cloned())).await?;
        let id = id.parse().map_err(|_| Failure::invalid_arguments(format!("{id:?} is no identifier of a graph")))?;
        Ok(self.status_of(&self.submitter.create(id, payload).await?))
    }

    pub(super) async fn cancel(&self, id: &str) -> Result<wire::TaskGraphStatusResponse, Failure> {
        let graph = self.store.cancel(graph_id(id)?, self.clock.now()).await?;
        Ok(self.status_of(&graph.ok_or_else(no_graph)?))
    }

    pub(super) async fn rerun_all(&self, id: &str) -> Result<wire::RerunResponse, Failure> {
        let rerun = self.store.rerun_all(graph_id(id)?, self.clock.now()).await?;
        let (graph, tasks) = rerun.ok_or_else(no_graph)?;
        Ok(wire::RerunResponse::new(graph.status(&self.scheduler_id), tasks))
    }

    pub(super) async fn rerun(&self, id: &str, task_id: TaskId) -> Result<wire::RerunResponse, Failure> {
        let rerun = self.store.rerun(graph_id(id)?, task_id, self.clock.now()).await?;
        let (graph, again) = rerun.ok_or_else(|| Failure::not_found("there is no such task in this graph"))?;
        Ok(wire::RerunResponse::new(graph.status(&self.scheduler_id), again.then_some(task_id)))
    }
}
