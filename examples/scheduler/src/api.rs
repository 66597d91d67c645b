//! The API: what each method asks of its caller, and what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster::scheduler as wire;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::transport::Body;
use taskcluster_server::scheduler::{InspectQuery, ListTaskGraphsQuery, SchedulerApi};
use taskcluster_server::{Call, Failure, Reply};

use crate::graph::Graph;
use crate::store::Store;
use crate::submit::Submitter;

mod change;
mod list;
mod look;

/// The answers to everything.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) submitter: Submitter,
    pub(crate) scheduler_id: Arc<str>,
    pub(crate) clock: SharedClock,
}

impl Api {
    fn status_of(&self, graph: &Graph) -> wire::TaskGraphStatusResponse {
        wire::TaskGraphStatusResponse::new(graph.status(&self.scheduler_id))
    }
}

/// What cannot be the identifier of a graph is that of none.
fn graph_id(text: &str) -> Result<TaskId, Failure> {
    text.parse().map_err(|_| no_graph())
}

fn no_graph() -> Failure {
    Failure::not_found("there is no such task graph")
}

#[async_trait]
impl SchedulerApi for Api {
    async fn create_task_graph(
        &self,
        call: &Call,
        task_graph_id: String,
        payload: wire::CreateTaskGraphRequest,
    ) -> Result<Reply<wire::TaskGraphStatusResponse>, Failure> {
        Ok(self.create(call, &task_graph_id, payload).await?.into())
    }

    async fn extend_task_graph(
        &self,
        _: &Call,
        task_graph_id: String,
        payload: wire::ExtendTaskGraphRequest,
    ) -> Result<Reply<wire::TaskGraphStatusResponse>, Failure> {
        let graph = self.submitter.extend(graph_id(&task_graph_id)?, payload.tasks).await?;
        Ok(self.status_of(&graph).into())
    }

    async fn status(&self, _: &Call, task_graph_id: String) -> Result<Reply<wire::TaskGraphStatusResponse>, Failure> {
        Ok(self.status_of(&self.graph(&task_graph_id).await?).into())
    }

    async fn info(&self, _: &Call, task_graph_id: String) -> Result<Reply<wire::TaskGraphInfoResponse>, Failure> {
        let graph = self.graph(&task_graph_id).await?;
        let status = graph.status(&self.scheduler_id);
        Ok(wire::TaskGraphInfoResponse::new(status, graph.origin.metadata, graph.origin.tags).into())
    }

    async fn inspect(
        &self,
        _: &Call,
        task_graph_id: String,
        query: InspectQuery,
    ) -> Result<Reply<wire::InspectTaskGraphResponse>, Failure> {
        Ok(self.inspected(&task_graph_id, query).await?.into())
    }

    async fn inspect_task(
        &self,
        _: &Call,
        task_graph_id: String,
        task_id: TaskId,
    ) -> Result<Reply<wire::TaskGraphTask>, Failure> {
        Ok(self.inspected_task(&task_graph_id, task_id).await?.into())
    }

    async fn list_task_graphs(
        &self,
        _: &Call,
        query: ListTaskGraphsQuery,
    ) -> Result<Reply<wire::ListTaskGraphsResponse>, Failure> {
        Ok(self.list(query).await?.into())
    }

    async fn cancel_task_graph(
        &self,
        _: &Call,
        task_graph_id: String,
    ) -> Result<Reply<wire::TaskGraphStatusResponse>, Failure> {
        Ok(self.cancel(&task_graph_id).await?.into())
    }

    async fn rerun_task_graph(&self, _: &Call, task_graph_id: String) -> Result<Reply<wire::RerunResponse>, Failure> {
        Ok(self.rerun_all(&task_graph_id).await?.into())
    }

    async fn rerun_task(
        &self,
        _: &Call,
        task_graph_id: String,
        task_id: TaskId,
    ) -> Result<Reply<wire::RerunResponse>, Failure> {
        Ok(self.rerun(&task_graph_id, task_id).await?.into())
    }

    async fn mermaid(&self, _: &Call, task_graph_id: String) -> Result<Reply<Body>, Failure> {
        self.drawn_for_mermaid(&task_graph_id).await
    }

    async fn graphviz(&self, _: &Call, task_graph_id: String) -> Result<Reply<Body>, Failure> {
        self.drawn_for_graphviz(&task_graph_id).await
    }
}
