//! A task once more: another task with the same definition, from now on.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use taskcluster::queue::{TaskStatus, TaskStatusResponse, operations};
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};

/// What stands for the tasks and listeners around the first one, and would be told or waited for a second time.
const SURROUNDINGS: [&str; 3] = ["dependencies", "requires", "routes"];

/// Creates the task, and says how it stands.
pub(super) async fn retrigger(tc: &Taskcluster, task: &TaskId, exact: bool) -> Result<TaskStatus> {
    let definition = tc.queue().task(task).raw().await?;
    let definition = serde_json::from_slice(&definition).context("a definition that is none")?;
    let definition = again(definition, exact, Timestamp::now())?;
    let id = TaskId::new();
    // Untyped, so that whatever the definition says stays in it.
    let create = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[&id]);
    Ok(create.with_body(&definition).await?.status)
}

/// The definition as if the task had been created now: its times lie as far from that as they did.
fn again(mut definition: Map<String, Value>, exact: bool, now: Timestamp) -> Result<Map<String, Value>> {
    let time = |definition: &Map<String, Value>, name: &str| -> Option<Timestamp> {
        definition.get(name)?.as_str()?.parse().ok()
    };
    let created = time(&definition, "created").context("a definition without the time of its creation")?;
    for name in ["created", "deadline", "expires"] {
        if let Some(then) = time(&definition, name) {
            definition.insert(name.to_owned(), (now + then.since(created)).to_string().into());
        }
    }
    if !exact {
        SURROUNDINGS.iter().for_each(|name| {
            definition.remove(*name);
        });
    }
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_move_and_surroundings_stay_behind() {
        let definition = json!({
            "created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-01T01:00:00.000Z",
            "expires": "2026-01-08T00:00:00.000Z", "dependencies": ["x"], "routes": ["y"], "payload": { "odd": 1 },
        });
        let Value::Object(definition) = definition else { unreachable!("it is written so") };
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let exact = again(definition.clone(), true, now).unwrap();
        assert_eq!(exact["created"], "2026-03-01T00:00:00.000Z");
        assert_eq!(exact["deadline"], "2026-03-01T01:00:00.000Z");
        assert_eq!(exact["expires"], "2026-03-08T00:00:00.000Z");
        assert_eq!((&exact["routes"], &exact["payload"]), (&json!(["y"]), &json!({ "odd": 1 })));
        let plain = again(definition, false, now).unwrap();
        assert!(!plain.contains_key("routes") && !plain.contains_key("dependencies"), "{plain:?}");
        assert!(again(Map::new(), true, now).is_err());
    }
}
