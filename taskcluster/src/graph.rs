//! A decision task's graph: tasks by label, edges between labels, checks, and submission.
//!
//! A decision task computes what there is to do for a commit and creates those tasks in its own task group. It speaks of
//! tasks by *label* (`build`, `test-linux`), while the queue wants ids. [`TaskGraph`] stands between the two:
//!
//! - A task's id is [derived](TaskId::derive) from the decision task's id and the label. So it is known before anything
//!   is created, a payload may name another task's artifacts, and a decision task that is tried again asks for exactly
//!   what is there already: it changes nothing.
//! - [`check`](TaskGraph::check) finds edges that lead nowhere and circles, and names them by label.
//! - [`submit`](CheckedGraph::submit) creates the tasks at once, each as soon as those it needs exist.
//!
//! For the second point to hold, two runs must give equal definitions: take `created` and what follows from it from the
//! decision task's own definition, not from the clock.
//!
//! ```
//! use taskcluster::graph::TaskGraph;
//! use taskcluster::queue::TaskDefinitionRequest;
//! # use taskcluster::queue::TaskMetadata;
//!
//! # fn definition(name: &str) -> TaskDefinitionRequest {
//! #     let definition = serde_json::json!({
//! #         "taskQueueId": "local/native", "created": "2026-01-01T00:00:00.000Z",
//! #         "deadline": "2026-01-01T01:00:00.000Z", "payload": {},
//! #         "metadata": {"name": name, "description": name, "owner": "me@example.com", "source": "https://example.com"},
//! #     });
//! #     serde_json::from_value(definition).expect("a definition")
//! # }
//! # fn main() -> Result<(), taskcluster::graph::GraphError> {
//! let decision_task = "fN1SbArXTPSVFNUvaOlinQ".parse().expect("an id");
//! let mut graph = TaskGraph::new(decision_task);
//! graph.add("build", [], definition("build"))?;
//! graph.add("test", ["build"], definition("test"))?;
//!
//! let graph = graph.check()?;
//! let order: Vec<&str> = graph.tasks().map(|task| task.label.as_str()).collect();
//! assert_eq!(order, ["build", "test"]);
//! // Within a task: graph.submit(&queue).await?
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;

use crate::queue::{Queue, TaskDefinitionRequest, TaskStatus};

/// How many tasks are created at once.
const CONCURRENCY: usize = 32;

/// Tasks by label, as a decision task collects them.
#[derive(Clone, Debug)]
pub struct TaskGraph {
    decision_task: TaskId,
    tasks: BTreeMap<String, Node>,
}

#[derive(Clone, Debug)]
struct Node {
    needs: Vec<String>,
    definition: TaskDefinitionRequest,
}

/// A graph whose edges all lead somewhere and never back.
#[derive(Clone, Debug)]
pub struct CheckedGraph {
    /// In dependency order.
    tasks: Vec<GraphTask>,
}

/// A task of a [`CheckedGraph`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphTask {
    /// Its label.
    pub label: String,
    /// Its id.
    pub task_id: TaskId,
    /// The labels of the tasks it needs.
    pub needs: Vec<String>,
    /// Its definition, with task group and dependencies filled in.
    pub definition: TaskDefinitionRequest,
}

/// What is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two tasks of one label.
    #[error("there are two tasks with the label `{0}`")]
    Duplicate(String),
    /// An edge to a task that does not exist.
    #[error("task `{label}` needs `{needs}`, which does not exist")]
    Dangling {
        /// The task with the edge.
        label: String,
        /// The label that no task has.
        needs: String,
    },
    /// Tasks that need each other. The first label is repeated at the end.
    #[error("tasks need each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
}

/// A task that the queue did not take.
#[derive(Debug, thiserror::Error)]
#[error("cannot create task `{label}` ({task_id})")]
#[non_exhaustive]
pub struct SubmitError {
    /// Its label.
    pub label: String,
    /// Its id.
    pub task_id: TaskId,
    /// What the queue said.
    #[source]
    pub source: Box<Error>,
}

impl TaskGraph {
    /// An empty graph of this decision task.
    pub fn new(decision_task: TaskId) -> Self {
        Self { decision_task, tasks: BTreeMap::new() }
    }

    /// The id that the task with this label has or would have.
    pub fn task_id(&self, label: &str) -> TaskId {
        TaskId::derive(&self.decision_task, label)
    }

    /// Adds a task that needs the tasks labelled `needs`, which may be added later, and gives its id.
    ///
    /// Every task also depends on the decision task itself, so that nothing begins if that one fails. A definition
    /// without a task group gets the decision task's.
    ///
    /// # Errors
    /// [`GraphError::Duplicate`] if the label is taken.
    pub fn add<'n>(
        &mut self,
        label: impl Into<String>,
        needs: impl IntoIterator<Item = &'n str>,
        definition: TaskDefinitionRequest,
    ) -> Result<TaskId, GraphError> {
        let label = label.into();
        let id = self.task_id(&label);
        if self.tasks.contains_key(&label) {
            return Err(GraphError::Duplicate(label));
        }
        let needs = needs.into_iter().map(str::to_owned).collect();
        self.tasks.insert(label, Node { needs, definition });
        Ok(id)
    }

    /// The labels, sorted.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// Checks the edges and puts the tasks into an order in which they can be created.
    ///
    /// # Errors
    /// [`GraphError::Dangling`] or [`GraphError::Cycle`].
    pub fn check(self) -> Result<CheckedGraph, GraphError> {
        for (label, node) in &self.tasks {
            if let Some(needs) = node.needs.iter().find(|needs| !self.tasks.contains_key(*needs)) {
                return Err(GraphError::Dangling { label: label.clone(), needs: needs.clone() });
            }
        }
        let mut order = Vec::with_capacity(self.tasks.len());
        let mut placed = BTreeSet::new();
        while placed.len() < self.tasks.len() {
            let ready = |(label, node): &(&String, &Node)| {
                !placed.contains(*label) && node.needs.iter().all(|needs| placed.contains(needs))
            };
            let next: Vec<&String> = self.tasks.iter().filter(ready).map(|(label, _)| label).collect();
            if next.is_empty() {
                return Err(GraphError::Cycle(self.circle(&placed)));
            }
            placed.extend(next.iter().copied());
            order.extend(next.into_iter().cloned());
        }
        Ok(CheckedGraph { tasks: order.iter().map(|label| self.complete(label)).collect() })
    }

    /// A circle among the tasks that could not be placed: each of them needs another one of them.
    fn circle(&self, placed: &BTreeSet<&String>) -> Vec<String> {
        let open = |label: &&String| !placed.contains(*label);
        let mut path: Vec<&String> = self.tasks.keys().filter(open).take(1).collect();
        while let Some(next) = path.last().and_then(|last| self.tasks[*last].needs.iter().find(open)) {
            let begin = path.iter().position(|label| *label == next);
            path.push(next);
            if let Some(begin) = begin {
                return path[begin..].iter().map(|label| (*label).clone()).collect();
            }
        }
        path.into_iter().cloned().collect()
    }

    fn complete(&self, label: &str) -> GraphTask {
        let Node { needs, definition } = &self.tasks[label];
        let mut definition = definition.clone();
        definition.task_group_id.get_or_insert(self.decision_task);
        let mut dependencies = vec![self.decision_task];
        let needed = needs.iter().map(|needs| self.task_id(needs));
        for id in needed.chain(definition.dependencies.take().into_iter().flatten()) {
            if !dependencies.contains(&id) {
                dependencies.push(id);
            }
        }
        definition.dependencies = Some(dependencies);
        GraphTask { label: label.to_owned(), task_id: self.task_id(label), needs: needs.clone(), definition }
    }
}

impl CheckedGraph {
    /// The tasks in dependency order, by label where there is a choice.
    pub fn tasks(&self) -> impl Iterator<Item = &GraphTask> {
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

    /// What decision tasks publish as `public/label-to-taskid.json`.
    pub fn label_to_task_id(&self) -> BTreeMap<&str, TaskId> {
        self.tasks.iter().map(|task| (task.label.as_str(), task.task_id)).collect()
    }

    /// What decision tasks publish as `public/task-graph.json`: by task id the label, the edges and the definition.
    pub fn to_json(&self) -> Value {
        let ids = self.label_to_task_id();
        let task = |task: &GraphTask| {
            let dependencies: BTreeMap<&str, TaskId> =
                task.needs.iter().map(|label| (label.as_str(), ids[label.as_str()])).collect();
            let value = json!({
                "label": task.label,
                "task_id": task.task_id,
                "dependencies": dependencies,
                "attributes": {},
                "task": task.definition,
            });
            (task.task_id.to_string(), value)
        };
        Value::Object(self.tasks.iter().map(task).collect())
    }

    /// Creates the tasks, several at a time, each after those it needs, and gives their states in dependency order.
    ///
    /// Submitting a graph twice is the same as submitting it once, as long as the definitions are equal.
    ///
    /// # Errors
    /// [`SubmitError`] for the first task that the queue does not take. Tasks created before it stay; submitting again
    /// creates the others.
    ///
    /// # Cancel safety
    /// If the future is dropped, some tasks exist and others do not; submit again.
    pub async fn submit(&self, queue: &Queue) -> Result<Vec<TaskStatus>, SubmitError> {
        let place: BTreeMap<&str, usize> =
            self.tasks.iter().enumerate().map(|(at, task)| (task.label.as_str(), at)).collect();
        let mut missing: Vec<BTreeSet<usize>> =
            self.tasks.iter().map(|task| task.needs.iter().map(|label| place[label.as_str()]).collect()).collect();
        let mut dependents = vec![Vec::new(); self.tasks.len()];
        for (at, needs) in missing.iter().enumerate() {
            needs.iter().for_each(|need| dependents[*need].push(at));
        }
        let mut ready: BTreeSet<usize> = (0..self.tasks.len()).filter(|at| missing[*at].is_empty()).collect();
        let mut under_way = FuturesUnordered::new();
        let mut created = BTreeMap::new();
        loop {
            while under_way.len() < CONCURRENCY
                && let Some(at) = ready.pop_first()
            {
                under_way.push(self.create(at, queue));
            }
            let Some(done) = under_way.next().await else { break };
            let (at, status) = done?;
            created.insert(at, status);
            for dependent in &dependents[at] {
                missing[*dependent].remove(&at);
                if missing[*dependent].is_empty() {
                    ready.insert(*dependent);
                }
            }
        }
        Ok(created.into_values().collect())
    }

    async fn create(&self, at: usize, queue: &Queue) -> Result<(usize, TaskStatus), SubmitError> {
        let GraphTask { label, task_id, definition, .. } = &self.tasks[at];
        match queue.create_task(task_id, definition).await {
            Ok(answer) => Ok((at, answer.status)),
            Err(source) => Err(SubmitError { label: label.clone(), task_id: *task_id, source: Box::new(source) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use taskcluster_core::caller::Caller;
    use taskcluster_core::transport::testing::{Answer, ScriptedTransport};

    use super::*;

    fn decision_task() -> TaskId {
        "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap()
    }

    fn definition() -> TaskDefinitionRequest {
        let definition = json!({
            "taskQueueId": "local/native",
            "created": "2026-01-01T00:00:00.000Z",
            "deadline": "2026-01-01T01:00:00.000Z",
            "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
            "payload": {},
        });
        serde_json::from_value(definition).unwrap()
    }

    fn graph(edges: &[(&str, &[&str])]) -> TaskGraph {
        let mut graph = TaskGraph::new(decision_task());
        for (label, needs) in edges {
            graph.add(*label, needs.iter().copied(), definition()).unwrap();
        }
        graph
    }

    fn order(graph: &CheckedGraph) -> Vec<&str> {
        graph.tasks().map(|task| task.label.as_str()).collect()
    }

    #[test]
    fn tasks_come_after_what_they_need_and_by_label_otherwise() {
        let checked = graph(&[("a", &["z"]), ("b", &[]), ("z", &["b"]), ("c", &["b", "b"])]).check().unwrap();
        assert_eq!(order(&checked), ["b", "c", "z", "a"]);
        assert!(graph(&[]).check().unwrap().is_empty());
    }

    #[test]
    fn an_edge_to_nowhere_is_named_by_both_labels() {
        let error = graph(&[("test", &["biuld"]), ("build", &[])]).check().unwrap_err();
        assert_eq!(error, GraphError::Dangling { label: "test".into(), needs: "biuld".into() });
        assert_eq!(error.to_string(), "task `test` needs `biuld`, which does not exist");
    }

    #[test]
    fn a_circle_is_told_without_what_only_leads_to_it() {
        let error = graph(&[("0-before", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &[])])
            .check()
            .unwrap_err();
        assert_eq!(error.to_string(), "tasks need each other in a circle: a -> b -> c -> a");
        assert_eq!(
            graph(&[("self", &["self"])]).check().unwrap_err(),
            GraphError::Cycle(vec!["self".into(), "self".into()])
        );
    }

    #[test]
    fn a_label_is_taken_once() {
        let mut graph = graph(&[("build", &[])]);
        assert_eq!(graph.add("build", [], definition()), Err(GraphError::Duplicate("build".into())));
    }

    #[test]
    fn a_task_depends_on_the_decision_task_on_what_it_needs_and_on_what_it_said() {
        let elsewhere: TaskId = "bdpB1YKSQXqNoRtY3oqCrg".parse().unwrap();
        let mut graph = graph(&[("build", &[])]);
        let mut with_own = definition();
        with_own.dependencies = Some(vec![elsewhere]);
        graph.add("test", ["build"], with_own).unwrap();
        let build = graph.task_id("build");
        let checked = graph.check().unwrap();
        let test = checked.tasks().nth(1).unwrap();
        assert_eq!(test.definition.dependencies.as_deref(), Some(&[decision_task(), build, elsewhere][..]));
        assert_eq!(test.definition.task_group_id, Some(decision_task()));
        let json = checked.to_json();
        let entry = &json[test.task_id.to_string()];
        assert_eq!(entry["dependencies"], json!({"build": build}));
        assert_eq!(entry["task"]["dependencies"], json!([decision_task(), build, elsewhere]));
    }

    /// A queue that remembers what it was given, in order, and refuses what it does not know the dependencies of.
    fn strict_queue(graph: &CheckedGraph) -> (Queue, Arc<Mutex<Vec<String>>>) {
        let labels: BTreeMap<String, String> =
            graph.tasks().map(|task| (task.task_id.to_string(), task.label.clone())).collect();
        let created = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&created);
        let script = ScriptedTransport::new().on(
            "queue.createTask",
            Answer::from_call(move |call| {
                let id = call.path.rsplit('/').next().unwrap();
                let mut created = log.lock().unwrap();
                let given = call.json()["dependencies"].clone();
                for dependency in given.as_array().unwrap().iter().skip(1) {
                    if !created.contains(&labels[dependency.as_str().unwrap()]) {
                        return Answer::error(400, "InputError", "a dependency is missing");
                    }
                }
                created.push(labels[id].clone());
                json!({"status": {
                    "taskId": id, "provisionerId": "local", "workerType": "native", "taskQueueId": "local/native",
                    "schedulerId": "local", "projectId": "none", "taskGroupId": decision_task(), "priority": "lowest",
                    "deadline": "2026-01-01T01:00:00.000Z", "expires": "2027-01-01T01:00:00.000Z",
                    "retriesLeft": 5, "state": "unscheduled", "runs": [],
                }})
                .into()
            }),
        );
        let caller = Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap();
        (Queue::new(caller), created)
    }

    #[tokio::test]
    async fn submission_creates_each_task_after_those_it_needs() {
        let mut edges: Vec<(String, Vec<String>)> = Vec::new();
        for n in 0..100 {
            edges.push((
                format!("task-{n:03}"),
                (0..n).filter(|m| n % (m + 2) == 0).map(|m| format!("task-{m:03}")).collect(),
            ));
        }
        let mut graph = TaskGraph::new(decision_task());
        for (label, needs) in &edges {
            graph.add(label, needs.iter().map(String::as_str), definition()).unwrap();
        }
        let graph = graph.check().unwrap();
        let (queue, created) = strict_queue(&graph);
        let statuses = graph.submit(&queue).await.unwrap();
        assert_eq!(statuses.len(), 100);
        assert_eq!(
            statuses.iter().map(|status| status.task_id).collect::<Vec<_>>(),
            graph.tasks().map(|task| task.task_id).collect::<Vec<_>>()
        );
        assert_eq!(created.lock().unwrap().len(), 100);
    }

    #[tokio::test]
    async fn a_refusal_names_the_label() {
        let graph = graph(&[("build", &[]), ("test", &["build"])]).check().unwrap();
        let script = ScriptedTransport::new().on("queue.createTask", Answer::error(403, "InsufficientScopes", "no"));
        let caller = Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap();
        let error = graph.submit(&Queue::new(caller)).await.unwrap_err();
        assert_eq!(error.label, "build");
        assert!(error.source.is_forbidden());
    }
}
