//! Looking at one graph.

use service_kit::pages;
use taskcluster::scheduler as wire;
use taskcluster_core::ids::TaskId;
use taskcluster_core::transport::Body;
use taskcluster_server::scheduler::InspectQuery;
use taskcluster_server::{Failure, Reply};

use super::list::MOST;
use super::{Api, graph_id, no_graph};
use crate::draw;
use crate::graph::Graph;
use crate::store::Placed;

impl Api {
    pub(super) async fn graph(&self, id: &str) -> Result<Graph, Failure> {
        self.store.graph(graph_id(id)?).await?.ok_or_else(no_graph)
    }

    pub(super) async fn inspected(
        &self,
        id: &str,
        query: InspectQuery,
    ) -> Result<wire::InspectTaskGraphResponse, Failure> {
        let graph = self.graph(id).await?;
        let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
        let limit = query.limit.unwrap_or(MOST).min(MOST) as usize;
        let found = self.store.nodes(graph.id, &after.unwrap_or_default(), limit + 1).await;
        let page = pages::cut(found?, limit, |task| task.task_id.to_string());
        let tasks = page.rows.iter().map(shown);
        let status = graph.status(&self.scheduler_id);
        let origin = graph.origin;
        let answer = wire::InspectTaskGraphResponse::new(status, tasks, origin.metadata, origin.scopes, origin.tags);
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn inspected_task(&self, id: &str, task_id: TaskId) -> Result<wire::TaskGraphTask, Failure> {
        let found = self.store.node(graph_id(id)?, task_id).await?;
        found
            .as_ref()
            .map(shown)
            .ok_or_else(|| Failure::not_found("there is no such task graph, or no such task in it"))
    }

    pub(super) async fn drawn_for_mermaid(&self, id: &str) -> Result<Reply<Body>, Failure> {
        let graph = self.graph(id).await?;
        let text = draw::mermaid(&self.all_tasks(&graph).await?);
        Ok(Reply::new(Body::from(text)).with_header("content-type", "text/vnd.mermaid; charset=utf-8"))
    }

    pub(super) async fn drawn_for_graphviz(&self, id: &str) -> Result<Reply<Body>, Failure> {
        let graph = self.graph(id).await?;
        let text = draw::graphviz(graph.id, &self.all_tasks(&graph).await?);
        Ok(Reply::new(Body::from(text)).with_header("content-type", "text/vnd.graphviz; charset=utf-8"))
    }

    async fn all_tasks(&self, graph: &Graph) -> Result<Vec<Placed>, Failure> {
        let mut tasks: Vec<Placed> = Vec::new();
        loop {
            let after = tasks.last().map(|task| task.task_id.to_string()).unwrap_or_default();
            let more = self.store.nodes(graph.id, &after, MOST as usize).await?;
            if more.is_empty() {
                return Ok(tasks);
            }
            tasks.extend(more);
        }
    }
}

fn shown(task: &Placed) -> wire::TaskGraphTask {
    let requires = task.requires.iter().map(|(required, _)| *required);
    let left = task.requires.iter().filter(|(_, met)| !met).map(|(required, _)| *required);
    let node = &task.node;
    wire::TaskGraphTask::new(
        task.task_id,
        &task.name,
        requires,
        left,
        task.dependents.iter().copied(),
        node.reruns,
        node.reruns_left(),
        node.shown(),
        node.is_satisfied(),
    )
}
