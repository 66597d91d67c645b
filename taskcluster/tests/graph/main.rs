//! Decision tasks: from tasks by label to tasks in a queue.

mod actions;
mod checks;
mod offer;
mod optimise;
mod parameters;
mod publish;
mod queue;
mod selection;
mod submission;

use serde_json::json;
use taskcluster::TaskId;
use taskcluster::graph::{CheckedGraph, Task, TaskGraph};
use taskcluster::queue::TaskDefinitionRequest;

pub(crate) const CREATED: &str = "2026-01-01T00:00:00.000Z";

pub(crate) fn decision_task() -> TaskId {
    "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap()
}

pub(crate) fn definition() -> TaskDefinitionRequest {
    serde_json::from_value(json!({
        "taskQueueId": "local/native",
        "created": CREATED,
        "deadline": "2026-01-01T01:00:00.000Z",
        "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
        "payload": {},
    }))
    .unwrap()
}

pub(crate) fn task(label: &str) -> Task {
    Task::new(label, definition())
}

pub(crate) fn graph(edges: &[(&str, &[&str])]) -> TaskGraph {
    let mut graph = TaskGraph::new(decision_task());
    graph.extend(edges.iter().map(|(label, needs)| task(label).with_needs(needs.iter().copied())));
    graph
}

pub(crate) fn labels(graph: &CheckedGraph) -> Vec<&str> {
    graph.tasks().map(|task| task.label.as_str()).collect()
}
