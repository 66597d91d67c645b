//! Creating a task that may be there already.

use serde_json::Value;
use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, minutes};

use crate::queue::{Queue, TaskDefinition, TaskDefinitionRequest, TaskStatus};

/// Creates a task, or finds that an earlier attempt has created it, however long ago: what a program does that is
/// started again after a crash. Gives the task's state.
///
/// The task that is there must have an equal definition but for two properties: `priority`, which somebody may have raised
/// since, and `created`. The queue takes only tasks that are created now, within 15 minutes; where the time in the
/// definition is further off, the task is sent with the present time.
///
/// # Errors
/// What the queue answers; 409 if there is another task of this id.
pub async fn ensure_task(
    queue: &Queue,
    task_id: &TaskId,
    definition: &TaskDefinitionRequest,
) -> Result<TaskStatus, Error> {
    ensure(queue, task_id, definition, &[]).await
}

/// The same, where these properties may differ as well.
pub(super) async fn ensure(
    queue: &Queue,
    task_id: &TaskId,
    definition: &TaskDefinitionRequest,
    may_differ: &[&str],
) -> Result<TaskStatus, Error> {
    let now = queue.caller().clock().now();
    let refused = match queue.create_task(task_id, &created_now(definition, now)).await {
        Ok(answer) => return Ok(answer.status),
        Err(error) => error,
    };
    // 409 where it exists with another time, or its group is sealed by now; 400 where its deadline has passed since.
    let may_exist = refused.is_conflict() || refused.status() == Some(http::StatusCode::BAD_REQUEST);
    let there = if may_exist { existing(queue, task_id, definition, may_differ).await } else { None };
    there.ok_or(refused)
}

/// The state of the task if an earlier attempt created it. Whatever goes wrong in asking, the refusal says more.
async fn existing(
    queue: &Queue,
    task_id: &TaskId,
    definition: &TaskDefinitionRequest,
    may_differ: &[&str],
) -> Option<TaskStatus> {
    let there = queue.task(task_id).await.ok()?;
    if !is_the_same(definition, &there, may_differ) {
        return None;
    }
    Some(queue.status(task_id).await.ok()?.status)
}

fn created_now(definition: &TaskDefinitionRequest, now: Timestamp) -> TaskDefinitionRequest {
    let mut definition = definition.clone();
    if definition.created.distance(now) > minutes(10) {
        definition.created = now.min(definition.deadline);
    }
    definition
}

/// Whether the queue has this definition. What was not said it has filled in.
fn is_the_same(definition: &TaskDefinitionRequest, there: &TaskDefinition, may_differ: &[&str]) -> bool {
    let (Ok(Value::Object(wanted)), Ok(there)) = (serde_json::to_value(definition), serde_json::to_value(there)) else {
        return false;
    };
    let may_differ = |name: &str| matches!(name, "created" | "priority") || may_differ.contains(&name);
    wanted.iter().all(|(name, value)| may_differ(name) || there.get(name) == Some(value))
}
