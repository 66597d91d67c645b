//! Submission: concurrent, each task after those it needs, and as often as it takes.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, minutes};

use super::checked::{CheckedGraph, GraphTask};
use crate::queue::{Queue, TaskDefinition, TaskDefinitionRequest, TaskStatus};

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
}

async fn create(task: &GraphTask, queue: &Queue) -> Result<TaskStatus, SubmitError> {
    let GraphTask { label, task_id, definition, .. } = task;
    let now = queue.caller().clock().now();
    let refused = match queue.create_task(task_id, &created_now(definition, now)).await {
        Ok(answer) => return Ok(answer.status),
        Err(error) => error,
    };
    // 409 where it exists with another time, or its group is sealed by now; 400 where its deadline has passed since.
    let may_exist = refused.is_conflict() || refused.status() == Some(http::StatusCode::BAD_REQUEST);
    let there = if may_exist { existing(task, queue).await } else { None };
    there.ok_or_else(|| SubmitError { label: label.clone(), task_id: *task_id, source: Box::new(refused) })
}

/// The state of the task if an earlier attempt created it. Whatever goes wrong in asking, the refusal says more.
async fn existing(task: &GraphTask, queue: &Queue) -> Option<TaskStatus> {
    let there = queue.task(&task.task_id).await.ok()?;
    if !is_the_same(task, &there) {
        return None;
    }
    Some(queue.status(&task.task_id).await.ok()?.status)
}

fn created_now(definition: &TaskDefinitionRequest, now: Timestamp) -> TaskDefinitionRequest {
    let mut definition = definition.clone();
    if definition.created.distance(now) > minutes(10) {
        definition.created = now.min(definition.deadline);
    }
    definition
}

/// Whether the queue has this definition. What was not said it has filled in.
fn is_the_same(task: &GraphTask, there: &TaskDefinition) -> bool {
    let (Ok(Value::Object(wanted)), Ok(there)) = (serde_json::to_value(&task.definition), serde_json::to_value(there))
    else {
        return false;
    };
    let may_differ = |name: &str| match name {
        "created" | "priority" => true,
        "dependencies" | "payload" | "extra" | "scopes" => task.uses_found,
        _ => false,
    };
    wanted.iter().all(|(name, value)| may_differ(name) || there.get(name) == Some(value))
}
