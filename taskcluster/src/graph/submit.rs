//! Submission: concurrent, each task after those it needs, and as often as it takes.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::{RenderError, ScopeExpression, ScopeSet};

use super::checked::{CheckedGraph, GraphTask};
use super::ensure;
use crate::Needs as _;
use crate::queue::{Queue, TaskStatus};

/// How many tasks are created at once.
const CONCURRENCY: usize = 32;

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

impl CheckedGraph {
    /// Creates the tasks, several at a time, each after those it needs, and gives their states in dependency order.
    ///
    /// Submitting a graph twice is the same as submitting it once, and what an earlier attempt left unfinished is
    /// finished, as long as the definitions are equal. Two properties may differ: `priority`, which somebody may have
    /// raised since, and `created`. The queue takes only tasks that are created now, within 15 minutes; where the time in
    /// the definition is further off, which it is when a decision task waited for long or is tried again late, the task is
    /// sent with the present time. Of a task that needs one which [`replace`](Self::replace) may have replaced, what can name
    /// the other's id may differ, too.
    ///
    /// # Errors
    /// [`SubmitError`] for the first task that the queue does not take. Tasks created before it stay; submitting again
    /// creates the others.
    ///
    /// # Cancel safety
    /// If the future is dropped, some tasks exist and others do not; submit again.
    pub async fn submit(&self, queue: &Queue) -> Result<Vec<TaskStatus>, SubmitError> {
        let mut missing: Vec<usize> = self.tasks.iter().map(|task| task.edges.inside().count()).collect();
        let mut dependents = vec![Vec::new(); self.tasks.len()];
        for (at, task) in self.tasks.iter().enumerate() {
            task.edges.inside().for_each(|needed| dependents[needed].push(at));
        }
        let mut ready: BTreeSet<usize> = (0..self.tasks.len()).filter(|at| missing[*at] == 0).collect();
        let mut under_way = FuturesUnordered::new();
        let mut created = BTreeMap::new();
        loop {
            while under_way.len() < CONCURRENCY
                && let Some(at) = ready.pop_first()
            {
                let task = &self.tasks[at];
                under_way.push(async move { (at, create(task, queue).await) });
            }
            let Some((at, status)) = under_way.next().await else { break };
            created.insert(at, status?);
            for dependent in &dependents[at] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.insert(*dependent);
                }
            }
        }
        Ok(created.into_values().collect())
    }

    /// The smallest scopes with which somebody may [submit](Self::submit) the graph, those of the tasks themselves among them: what
    /// a decision task has to have. Roles are not looked up, so `assume:…` may stand for all of it.
    ///
    /// # Errors
    /// [`RenderError`] if a definition lacks what its scopes depend on.
    pub fn needs(&self, queue: &Queue) -> Result<ScopeSet, RenderError> {
        let calls = self.tasks.iter().map(|task| queue.create_task(&task.task_id, &task.definition).needs());
        let all = ScopeExpression::AllOf(calls.collect::<Result<_, _>>()?);
        Ok(all.least().unwrap_or_default())
    }
}

async fn create(task: &GraphTask, queue: &Queue) -> Result<TaskStatus, SubmitError> {
    let GraphTask { label, task_id, definition, uses_found, .. } = task;
    let differs: &[&str] = if *uses_found { &["dependencies", "payload", "extra", "scopes"] } else { &[] };
    let ensured = ensure::ensure(queue, task_id, definition, differs).await;
    ensured.map_err(|source| SubmitError { label: label.clone(), task_id: *task_id, source: Box::new(source) })
}
