//! A task from a file.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use taskcluster::graph::DEPENDENCIES_AT_MOST;
use taskcluster::queue::{TaskStatus, TaskStatusResponse, operations};
use taskcluster::{Error, Request, TaskId, Taskcluster, Timestamp};

use super::super::definition::{read, with_times, with_times_of};
use super::super::talk::BadUse;

/// The variable by which workers tell tasks who they are.
const OWN_TASK: &str = "TASK_ID";

/// Creates the task, and says how it stands.
pub(super) async fn create(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskStatus> {
    let bad = |error: anyhow::Error| BadUse(format!("{}: {error:#}", file.display()));
    let said = read(file).and_then(|text| serde_yaml_ng::from_str(&text).context("it is no definition of a task"));
    let mut said = said.and_then(with_dependencies_that_the_queue_takes).map_err(bad)?;
    if let Some(own) = own_task()? {
        join_group_of(tc, &own, &mut said).await?;
    }
    let whole = with_times(said.clone(), deadline, Timestamp::now()).map_err(bad)?;
    let Some(id) = id else { return Ok(send(tc, &TaskId::new(), &whole).await?) };
    match send(tc, &id, &whole).await {
        // Perhaps it has been created from this file before, at another time.
        Err(error) if error.is_conflict() => {
            let there = tc.queue().task(&id).await?;
            Ok(send(tc, &id, &with_times_of(said, &there)).await?)
        }
        created => Ok(created?),
    }
}

/// Untyped, so that whatever the definition says stays in it.
async fn send(tc: &Taskcluster, id: &TaskId, definition: &Map<String, Value>) -> Result<TaskStatus, Error> {
    let create = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[id]);
    Ok(create.with_body(definition).await?.status)
}

/// The task that this program is a part of, if it is one.
fn own_task() -> Result<Option<TaskId>> {
    match std::env::var(OWN_TASK) {
        Ok(id) => Ok(Some(id.parse().map_err(|error| BadUse(format!("{OWN_TASK}: {error}")))?)),
        Err(_) => Ok(None),
    }
}

/// What a task creates belongs to that task's group, unless the definition says another.
async fn join_group_of(tc: &Taskcluster, own: &TaskId, definition: &mut Map<String, Value>) -> Result<()> {
    let group = definition.get("taskGroupId").and_then(Value::as_str);
    if group.is_some() && definition.contains_key("schedulerId") {
        return Ok(());
    }
    let own = tc.queue().task(own).await.context("the task that this is a part of cannot be seen")?;
    if group.is_none_or(|group| group == own.task_group_id.to_string()) {
        definition.entry("taskGroupId").or_insert_with(|| own.task_group_id.to_string().into());
        // All tasks of a group have the same.
        definition.entry("schedulerId").or_insert_with(|| own.scheduler_id.clone().into());
    }
    Ok(())
}

/// Said here, the reason is one line; and nothing of that size need travel first.
fn with_dependencies_that_the_queue_takes(definition: Map<String, Value>) -> Result<Map<String, Value>> {
    let count = definition.get("dependencies").and_then(Value::as_array).map_or(0, Vec::len);
    if count > DEPENDENCIES_AT_MOST {
        bail!("it has {count} dependencies, and the queue takes {DEPENDENCIES_AT_MOST}");
    }
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_as_many_dependencies_as_the_queue_takes() {
        let of = |count: usize| {
            let definition = serde_json::json!({"dependencies": vec![TaskId::new().to_string(); count]});
            with_dependencies_that_the_queue_takes(definition.as_object().unwrap().clone())
        };
        assert!(of(DEPENDENCIES_AT_MOST).is_ok());
        let error = of(DEPENDENCIES_AT_MOST + 1).unwrap_err().to_string();
        assert_eq!(error, "it has 10001 dependencies, and the queue takes 10000");
    }
}
