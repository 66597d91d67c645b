//! A task from a file.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use taskcluster::graph::DEPENDENCIES_AT_MOST;
use taskcluster::queue::{TaskStatusResponse, operations};
use taskcluster::time::from_now;
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};

use super::super::talk::BadUse;

/// Creates the task, and gives its id.
pub(super) async fn create(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskId> {
    let definition = read(file).and_then(|text| whole(&text, deadline, Timestamp::now()));
    let definition = definition.and_then(with_dependencies_that_the_queue_takes);
    let definition = definition.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
    let id = id.unwrap_or_else(TaskId::new);
    // Untyped, so that whatever the definition says stays in it.
    let create = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[&id]);
    create.with_body(&definition).await?;
    Ok(id)
}

/// Said here, the reason is one line; and nothing of that size need travel first.
fn with_dependencies_that_the_queue_takes(definition: Map<String, Value>) -> Result<Map<String, Value>> {
    let count = definition.get("dependencies").and_then(Value::as_array).map_or(0, Vec::len);
    if count > DEPENDENCIES_AT_MOST {
        bail!("it has {count} dependencies, and the queue takes {DEPENDENCIES_AT_MOST}");
    }
    Ok(definition)
}

fn read(file: &Path) -> Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file).context("it cannot be read");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

/// The definition with the times that it does not say.
fn whole(text: &str, deadline: &str, now: Timestamp) -> Result<Map<String, Value>> {
    let mut definition: Map<String, Value> = serde_yaml_ng::from_str(text).context("it is no definition of a task")?;
    let created = definition.entry("created").or_insert_with(|| now.to_string().into());
    let created: Timestamp = created
        .as_str()
        .and_then(|time| time.parse().ok())
        .context("`created` is not a time such as 2026-01-02T03:04:05Z")?;
    if !definition.contains_key("deadline") {
        definition.insert("deadline".to_owned(), from_now(deadline, created).context("--deadline")?.to_string().into());
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

    #[test]
    fn times_that_are_not_said_are_filled_in() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let definition = whole("payload: {maxRunTime: 60}\n", "2 hours", now).unwrap();
        assert_eq!(definition["created"], "2026-03-01T00:00:00.000Z");
        assert_eq!(definition["deadline"], "2026-03-01T02:00:00.000Z");
        assert_eq!(definition["payload"]["maxRunTime"], 60);
        let said = whole(r#"{"created": "2026-01-01T00:00:00Z", "deadline": "x"}"#, "1 day", now).unwrap();
        assert_eq!((&said["created"], &said["deadline"]), (&"2026-01-01T00:00:00Z".into(), &"x".into()));
        for wrong in ["[1]", "created: soon", "a: ["] {
            assert!(whole(wrong, "1 day", now).is_err(), "{wrong}");
        }
    }
}
