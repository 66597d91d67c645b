//! A task from a file.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use taskcluster::queue::{TaskStatusResponse, operations};
use taskcluster::time::from_now;
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};

use super::super::talk::BadUse;

/// Creates the task, and gives its id.
pub(super) async fn create(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskId> {
    let definition = read(file).and_then(|text| whole(&text, deadline, Timestamp::now()));
    let definition = definition.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
    let id = id.unwrap_or_else(TaskId::new);
    // Untyped, so that whatever the definition says stays in it.
    let create = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[&id]);
    create.with_body(&definition).await?;
    Ok(id)
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
