//! Tasks that are to become part of a graph: what a request says, and everything that is wrong with it. No I/O.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use taskcluster::Needs as _;
use taskcluster::graph::{Task, TaskGraph};
use taskcluster::queue::{Queue, TaskDefinitionRequest};
use taskcluster::scheduler::{CreateTaskGraphRequest, TaskGraphNode};
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::time::Timestamp;

use crate::graph::Origin;

/// A request, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "what a request says")]
pub struct Submission {
    /// The graph that it makes or extends.
    pub graph_id: TaskId,
    /// What the tasks may need, all together.
    pub scopes: Vec<String>,
    /// The graph, if this makes it.
    pub origin: Option<Origin>,
    /// The tasks.
    pub nodes: Vec<TaskGraphNode>,
    /// Of everything that was asked for.
    pub digest: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "part of an answer")]
pub struct Fault {
    /// The task.
    pub task_id: TaskId,
    /// What is wrong with it.
    pub message: String,
}

impl Submission {
    /// A graph.
    #[must_use]
    pub fn create(graph_id: TaskId, request: CreateTaskGraphRequest, scheduler_id: &str) -> Self {
        let digest = digest(&request);
        let CreateTaskGraphRequest { tasks, metadata, scopes, routes, tags, .. } = request;
        let scopes = scopes.unwrap_or_default();
        let (routes, tags) = (routes.unwrap_or_default(), tags.unwrap_or_default());
        let origin = Origin { scopes: scopes.clone(), routes, metadata, tags, digest: digest.clone() };
        let nodes = tasks.into_iter().map(|node| completed(node, graph_id, scheduler_id)).collect();
        Self { graph_id, scopes, origin: Some(origin), nodes, digest }
    }

    /// More tasks for a graph that was submitted with these scopes.
    #[must_use]
    pub fn extend(graph_id: TaskId, scopes: Vec<String>, nodes: Vec<TaskGraphNode>, scheduler_id: &str) -> Self {
        let digest = digest(&nodes);
        let nodes = nodes.into_iter().map(|node| completed(node, graph_id, scheduler_id)).collect();
        Self { graph_id, scopes, origin: None, nodes, digest }
    }

    /// The tasks that it speaks of: its own, and those that they require.
    #[must_use]
    pub fn mentioned(&self) -> HashSet<TaskId> {
        let required = self.nodes.iter().flat_map(|node| node.requires.iter().flatten());
        self.nodes.iter().map(|node| &node.task_id).chain(required).copied().collect()
    }

    /// Leaves out the tasks that the graph has already, by their digests.
    ///
    /// # Errors
    /// The tasks that it has with another definition.
    pub fn without(&mut self, existing: &HashMap<TaskId, String>) -> Result<(), Vec<TaskId>> {
        let other =
            |node: &&TaskGraphNode| existing.get(&node.task_id).is_some_and(|there| *there != node_digest(node));
        let others: Vec<TaskId> = self.nodes.iter().filter(other).map(|node| node.task_id).collect();
        self.nodes.retain(|node| !existing.contains_key(&node.task_id));
        if others.is_empty() { Ok(()) } else { Err(others) }
    }

    /// Everything that is wrong with the tasks, as far as it can be known without creating them. `existing` are tasks that
    /// the graph has, `held` is what the scopes of the graph stand for.
    #[must_use]
    pub fn faults<'t>(
        &self,
        existing: impl IntoIterator<Item = &'t TaskId>,
        held: &ScopeSet,
        queue: &Queue,
        scheduler_id: &str,
        now: Timestamp,
    ) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.nodes.iter().flat_map(|node| self.misplaced(node)).collect();
        faults.extend(self.nodes.iter().filter_map(|node| late(node, now)));
        faults.extend(self.refused(existing, scheduler_id));
        faults.extend(self.nodes.iter().filter_map(|node| uncovered(node, held, queue)));
        let place: HashMap<TaskId, usize> = (0..).zip(&self.nodes).map(|(at, node)| (node.task_id, at)).collect();
        faults.sort_by_key(|fault| place.get(&fault.task_id).copied());
        faults
    }

    /// What the queue would take and this service does not.
    fn misplaced(&self, node: &TaskGraphNode) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut tell = |message: String| faults.push(Fault { task_id: node.task_id, message });
        if let Some(group) = node.task.task_group_id.filter(|group| *group != self.graph_id) {
            tell(format!("it names the task group {group}, and that of its graph is {}", self.graph_id));
        }
        if node.task.dependencies.iter().flatten().next().is_some() {
            tell("it has dependencies; say them by `requires`".to_owned());
        }
        let mut seen = HashSet::new();
        let mut told = HashSet::new();
        for required in node.requires.iter().flatten() {
            if !seen.insert(required) && told.insert(required) {
                tell(format!("it requires {required} twice"));
            }
        }
        faults
    }

    /// What the queue would refuse, and what is wrong with the edges.
    fn refused<'t>(&self, existing: impl IntoIterator<Item = &'t TaskId>, scheduler_id: &str) -> Vec<Fault> {
        let existing = existing.into_iter().map(|id| (id.to_string(), *id));
        let mut graph = TaskGraph::new(self.graph_id).with_scheduler_id(scheduler_id).with_existing(existing);
        for node in &self.nodes {
            let requires = node.requires.iter().flatten().map(TaskId::to_string);
            graph.add(Task::new(node.task_id.to_string(), node.task.clone()).with_needs(requires));
        }
        let Err(error) = graph.check() else { return Vec::new() };
        let problems = error.problems.iter();
        problems
            .filter_map(|problem| Some(Fault { task_id: problem.label().parse().ok()?, message: problem.to_string() }))
            .collect()
    }

    /// The tasks that have to be held back at the queue: those that require no task of this submission would begin before all
    /// are accepted.
    #[must_use]
    pub fn held(&self) -> HashSet<TaskId> {
        let own: HashSet<TaskId> = self.nodes.iter().map(|node| node.task_id).collect();
        let is_held = |node: &&TaskGraphNode| !node.requires.iter().flatten().any(|required| own.contains(required));
        self.nodes.iter().filter(is_held).map(|node| node.task_id).collect()
    }

    /// The tasks as the queue gets them. What depends on itself does not begin by itself: so those are [held](Self::held).
    #[must_use]
    pub fn definitions(&self) -> Vec<(TaskId, TaskDefinitionRequest)> {
        let held = self.held();
        let definition = |node: &TaskGraphNode| {
            let itself = held.get(&node.task_id);
            let mut definition = node.task.clone();
            definition.dependencies = Some(node.requires.iter().flatten().chain(itself).copied().collect());
            (node.task_id, definition)
        };
        self.nodes.iter().map(definition).collect()
    }
}

/// What a task is compared by.
#[must_use]
pub(crate) fn node_digest(node: &TaskGraphNode) -> String {
    digest(node)
}

fn digest(request: &impl Serialize) -> String {
    // Names of objects are written in the order of the type or of the alphabet, so equal requests are equal texts.
    let text = serde_json::to_vec(request).expect("what came as JSON can be written as JSON");
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn completed(mut node: TaskGraphNode, graph_id: TaskId, scheduler_id: &str) -> TaskGraphNode {
    node.task.task_group_id.get_or_insert(graph_id);
    // The queue's default, which says that there is no scheduler, stands for nothing here.
    if node.task.scheduler_id.as_deref().is_none_or(|given| given == "-") {
        node.task.scheduler_id = Some(scheduler_id.to_owned());
    }
    node
}

/// What can never be done in time. When it was created is not looked at: the queue is told the present time where that is far off.
fn late(node: &TaskGraphNode, now: Timestamp) -> Option<Fault> {
    let deadline = node.task.deadline;
    (deadline < now).then(|| Fault { task_id: node.task_id, message: format!("its deadline {deadline} has passed") })
}

/// Whether the scopes of the graph do for creating the task.
fn uncovered(node: &TaskGraphNode, held: &ScopeSet, queue: &Queue) -> Option<Fault> {
    let needed = queue.create_task(&node.task_id, &node.task).needs().ok()?;
    let missing = needed.remainder(held)?;
    let missing = serde_json::to_string(&missing).unwrap_or_default();
    Some(Fault { task_id: node.task_id, message: format!("the scopes of the graph do not cover {missing}") })
}
