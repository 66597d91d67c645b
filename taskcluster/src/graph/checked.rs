//! A graph without problems. What is made of it by selecting and optimising has none either.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;

use super::Task;
use super::optimise::Cached;
use crate::queue::TaskDefinitionRequest;

/// A graph that can be submitted: its edges all lead somewhere and never back, and the queue will take each task.
#[derive(Clone, Debug)]
pub struct CheckedGraph {
    pub(super) decision_task: TaskId,
    /// Labels of tasks that exist already, also those that stand in for tasks of this graph.
    pub(super) existing: BTreeMap<String, TaskId>,
    /// In dependency order.
    pub(super) tasks: Vec<GraphTask>,
}

/// A task of a [`CheckedGraph`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphTask {
    /// Its label.
    pub label: String,
    /// Its id.
    pub task_id: TaskId,
    /// The kind that it belongs to; empty if it belongs to none.
    pub kind: String,
    /// The labels of the tasks it needs.
    pub needs: Vec<String>,
    /// The labels of the tasks that it comes after, of those that are there.
    pub after: Vec<String>,
    /// Whatever else selects it.
    pub attributes: BTreeMap<String, Value>,
    /// Patterns of the files that it looks at; empty: it looks at everything.
    pub files: Vec<String>,
    /// What an earlier task is found by.
    pub cached: Option<Cached>,
    /// Its definition, with task group and dependencies filled in.
    pub definition: TaskDefinitionRequest,
    pub(super) edges: Edges,
    /// Which task's id its definition has may depend on what was found when it was asked.
    pub(super) uses_found: bool,
}

/// Where a task's edges lead.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    /// Tasks of the graph that it needs.
    pub(super) needs: Vec<usize>,
    /// Others that it comes after.
    pub(super) after: Vec<usize>,
    /// Tasks that exist already.
    pub(super) outside: Vec<TaskId>,
}

impl Edges {
    /// All within the graph.
    pub(super) fn inside(&self) -> impl Iterator<Item = usize> {
        self.needs.iter().chain(&self.after).copied()
    }
}

impl GraphTask {
    pub(super) fn new(task: Task, edges: Edges, decision_task: &TaskId) -> Self {
        let Task { label, kind, needs, after, attributes, files, cached, definition } = task;
        let task_id = TaskId::derive(decision_task, &label);
        Self { label, task_id, kind, needs, after, attributes, files, cached, definition, edges, uses_found: false }
    }
}

impl CheckedGraph {
    /// The tasks are in dependency order and their edges in place; fills in the dependencies.
    pub(super) fn new(decision_task: TaskId, existing: BTreeMap<String, TaskId>, tasks: Vec<GraphTask>) -> Self {
        let mut graph = Self { decision_task, existing, tasks };
        for at in 0..graph.tasks.len() {
            let Edges { outside, .. } = &graph.tasks[at].edges;
            let inside = graph.tasks[at].edges.inside().map(|needed| graph.tasks[needed].task_id);
            let dependencies = [decision_task].into_iter().chain(inside).chain(outside.iter().copied()).collect();
            graph.tasks[at].definition.dependencies = Some(dependencies);
        }
        graph
    }

    /// The tasks in dependency order, by label where there is a choice.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &GraphTask> {
        self.tasks.iter()
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// What decision tasks publish as `public/label-to-taskid.json`. Where an earlier task stands in, it is that one's id.
    pub fn label_to_task_id(&self) -> BTreeMap<&str, TaskId> {
        let existing = self.existing.iter().map(|(label, id)| (label.as_str(), *id));
        existing.chain(self.tasks.iter().map(|task| (task.label.as_str(), task.task_id))).collect()
    }

    /// What decision tasks publish as `public/task-graph.json`: by task id the label, the edges and the definition.
    /// Before anything is selected it is `public/full-task-graph.json`.
    pub fn to_json(&self) -> Value {
        let ids = self.label_to_task_id();
        let task = |task: &GraphTask| {
            let labels = task.needs.iter().chain(&task.after).map(String::as_str);
            let dependencies: BTreeMap<&str, TaskId> = labels.map(|label| (label, ids[label])).collect();
            let value = json!({
                "label": task.label,
                "kind": task.kind,
                "task_id": task.task_id,
                "dependencies": dependencies,
                "attributes": task.attributes,
                "task": task.definition,
            });
            (task.task_id.to_string(), value)
        };
        Value::Object(self.tasks.iter().map(task).collect())
    }

    /// The graph of those tasks alone for which `kept` says so; no task that stays needs one that goes.
    pub(super) fn retain(self, kept: &[bool]) -> Self {
        let mut place = vec![None; kept.len()];
        for (to, from) in (0..kept.len()).filter(|at| kept[*at]).enumerate() {
            place[from] = Some(to);
        }
        let (mut tasks, mut gone) = (Vec::new(), HashSet::new());
        for (task, kept) in self.tasks.into_iter().zip(kept) {
            if *kept {
                tasks.push(task);
            } else if !self.existing.contains_key(&task.label) {
                gone.insert(task.label);
            }
        }
        for task in &mut tasks {
            task.after.retain(|label| !gone.contains(label));
            let inside = |at: &usize| place[*at];
            task.edges.needs = task.edges.needs.iter().filter_map(inside).collect();
            task.edges.after = task.edges.after.iter().filter_map(inside).collect();
        }
        Self::new(self.decision_task, self.existing, tasks)
    }
}
