//! From tasks by label to a graph that can be submitted, or everything that is wrong with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use taskcluster_core::ids::{TaskId, TaskQueueId};

use super::checked::{CheckedGraph, Edges, GraphTask};
use super::problem::{GraphError, Problem};
use super::{DEPENDENCIES_AT_MOST, Payloads, Task, TaskGraph, order};
use crate::queue::TaskDefinitionRequest;

mod rules;
mod size;

impl TaskGraph {
    /// Checks the tasks and puts them into an order in which they can be created: each after what it needs, by label
    /// where there is a choice. Takes time and memory in proportion to tasks and edges.
    ///
    /// # Errors
    /// Everything that is wrong, at once: see [`Problem`].
    pub fn check(self) -> Result<CheckedGraph, GraphError> {
        self.check_with(&Payloads::new())
    }

    /// As [`check`](Self::check), and checks each payload as its task queue wants it.
    ///
    /// # Errors
    /// Everything that is wrong, at once: see [`Problem`].
    pub fn check_with(mut self, payloads: &Payloads<'_>) -> Result<CheckedGraph, GraphError> {
        self.tasks.sort_by(|one, other| one.label.cmp(&other.label));
        let mut problems = Vec::new();
        let places = places(&self.tasks, &self.existing, &mut problems);
        let edges: Vec<Edges> = self.tasks.iter().map(|task| self.edges(task, &places, &mut problems)).collect();
        let levels = levels(&self.tasks, &edges, &mut problems);
        let scheduler_id = self.scheduler_id.as_deref().or_else(|| self.tasks.iter().find_map(scheduler_id));
        for (task, edges) in self.tasks.iter().zip(&edges) {
            check_definition(task, scheduler_id, payloads, &mut problems);
            // The decision task is one more.
            let count = edges.inside().count() + edges.outside.len() + 1;
            let around = rules::Around {
                scheduler_id: self.scheduler_id.as_deref(),
                dependencies: count,
                deadline_within: self.deadline_within,
            };
            let broken = rules::broken(&task.definition, &around).into_iter();
            problems.extend(broken.map(|rules::Broken { place, reason }| Problem::Refused {
                label: task.label.clone(),
                place,
                reason,
            }));
            check_edges(task, edges, count, &self.tasks, &mut problems);
        }
        if problems.is_empty() { Ok(self.assemble(edges, &levels)) } else { Err(GraphError { problems }) }
    }

    fn edges(&self, task: &Task, places: &HashMap<&str, usize>, problems: &mut Vec<Problem>) -> Edges {
        let mut edges = Edges::default();
        type Dangling = fn(String, String) -> Problem;
        let needs: Dangling = |label, needs| Problem::Dangling { label, needs };
        let after: Dangling = |label, after| Problem::DanglingAfter { label, after };
        for (labels, inside, dangling) in
            [(&task.needs, &mut edges.needs, needs), (&task.after, &mut edges.after, after)]
        {
            for other in labels {
                match (places.get(other.as_str()), self.existing.get(other)) {
                    (Some(at), _) => inside.push(*at),
                    (None, Some(id)) => edges.outside.push(*id),
                    (None, None) => problems.push(dangling(task.label.clone(), other.clone())),
                }
            }
        }
        edges.outside.extend(task.definition.dependencies.iter().flatten());
        edges.outside.retain(|id| *id != self.decision_task);
        let needed: HashSet<usize> = edges.needs.iter().copied().collect();
        edges.after.retain(|at| !needed.contains(at));
        without_repeats(&mut edges.needs);
        without_repeats(&mut edges.after);
        without_repeats(&mut edges.outside);
        edges
    }

    fn assemble(self, edges: Vec<Edges>, levels: &[Option<usize>]) -> CheckedGraph {
        let mut order: Vec<usize> = (0..levels.len()).collect();
        order.sort_by_key(|at| levels[*at]);
        let mut place = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            place[*from] = to;
        }
        let mut tasks: Vec<Option<(Task, Edges)>> = self.tasks.into_iter().zip(edges).map(Some).collect();
        let tasks = order.iter().filter_map(|from| tasks[*from].take());
        let tasks = tasks.map(|(task, mut edges)| {
            edges.needs.iter_mut().chain(&mut edges.after).for_each(|at| *at = place[*at]);
            let mut task = GraphTask::new(task, edges, &self.decision_task);
            task.definition.task_group_id.get_or_insert(self.task_group_id);
            if let Some(scheduler_id) = &self.scheduler_id {
                task.definition.scheduler_id.get_or_insert_with(|| scheduler_id.clone());
            }
            task
        });
        CheckedGraph::new(self.decision_task, self.existing, tasks.collect())
    }
}

/// Where each label stands in the sorted list.
fn places<'t>(
    tasks: &'t [Task],
    existing: &BTreeMap<String, TaskId>,
    problems: &mut Vec<Problem>,
) -> HashMap<&'t str, usize> {
    let mut places = HashMap::with_capacity(tasks.len());
    let mut told = None;
    for (at, Task { label, .. }) in tasks.iter().enumerate() {
        let taken = places.insert(label.as_str(), at).is_some() || existing.contains_key(label);
        if taken && told != Some(label) {
            problems.push(Problem::Duplicate(label.clone()));
            told = Some(label);
        }
    }
    places
}

fn levels(tasks: &[Task], edges: &[Edges], problems: &mut Vec<Problem>) -> Vec<Option<usize>> {
    let inside: Vec<Vec<usize>> = edges.iter().map(|edges| edges.inside().collect()).collect();
    let levels = order::levels(&inside);
    for circle in order::circles(&inside, &levels) {
        problems.push(Problem::Cycle(circle.into_iter().map(|at| tasks[at].label.clone()).collect()));
    }
    levels
}

/// What the queue would say of the definition, beside [its own rules](rules).
fn check_definition(task: &Task, scheduler_id: Option<&str>, payloads: &Payloads<'_>, problems: &mut Vec<Problem>) {
    let Task { label, definition, .. } = task;
    if definition.deadline < definition.created {
        problems.push(Problem::DeadlineBeforeCreated(label.clone()));
    }
    if definition.expires.is_some_and(|expires| expires < definition.deadline) {
        problems.push(Problem::ExpiresBeforeDeadline(label.clone()));
    }
    match task_queue_id(definition) {
        // Names that are none are told by the rules.
        None if definition.provisioner_id.is_some() && definition.worker_type.is_some() => {}
        None => problems.push(Problem::NoTaskQueue(label.clone())),
        Some(task_queue_id) => problems.extend(
            payloads.check(&task_queue_id, &definition.payload).into_iter().map(|reason| Problem::Payload {
                label: label.clone(),
                task_queue_id: task_queue_id.clone(),
                reason,
            }),
        ),
    }
    if let (Some(own), Some(expected)) = (&definition.scheduler_id, scheduler_id)
        && own != expected
    {
        let (scheduler_id, expected) = (own.clone(), expected.to_owned());
        problems.push(Problem::Scheduler { label: label.clone(), scheduler_id, expected });
    }
}

/// What the queue would say of the dependencies.
fn check_edges(task: &Task, edges: &Edges, count: usize, tasks: &[Task], problems: &mut Vec<Problem>) {
    let label = || task.label.clone();
    if count > DEPENDENCIES_AT_MOST {
        problems.push(Problem::TooManyDependencies { label: label(), count });
    }
    for needed in edges.inside().map(|at| &tasks[at]) {
        // Without an expiry it is a year after the deadline, and no deadline is that far away.
        if needed.definition.expires.is_some_and(|expires| expires < task.definition.deadline) {
            problems.push(Problem::ExpiresBeforeUse { label: label(), needs: needed.label.clone() });
        }
        if task.cached.is_some() && needed.cached.is_none() {
            problems.push(Problem::NotCached { label: label(), needs: needed.label.clone() });
        }
    }
}

/// The task queue, however it is said.
fn task_queue_id(definition: &TaskDefinitionRequest) -> Option<TaskQueueId> {
    let TaskDefinitionRequest { task_queue_id, provisioner_id, worker_type, .. } = definition;
    let parts = || TaskQueueId::from_parts(provisioner_id.as_deref()?, worker_type.as_deref()?).ok();
    task_queue_id.clone().or_else(parts)
}

fn scheduler_id(task: &Task) -> Option<&str> {
    task.definition.scheduler_id.as_deref()
}

/// Keeps the first of each, in order.
fn without_repeats<T: Copy + Eq + Hash>(list: &mut Vec<T>) {
    let mut seen = HashSet::with_capacity(list.len());
    list.retain(|one| seen.insert(*one));
}
