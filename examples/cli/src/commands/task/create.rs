//! A task from a file.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use taskcluster::graph::DEPENDENCIES_AT_MOST;
use taskcluster::queue::{TaskStatus, TaskStatusResponse, operations};
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};

use super::super::definition::{read, with_times};
use super::super::talk::BadUse;

/// Creates the task, and says how it stands.
pub(super) async fn create(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskStatus> {
    let definition = read(file).and_then(|text| {
        let definition = serde_yaml_ng::from_str(&text).context("it is no definition of a task")?;
        with_times(definition, deadline, Timestamp::now())
    });
    let definition = definition.and_then(with_dependencies_that_the_queue_takes);
    let definition = definition.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
    let id = id.unwrap_or_else(TaskId::new);
    // Untyped, so that whatever the definition says stays in it.
    let create = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[&id]);
    Ok(create.with_body(&definition).await?.status)
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
