//! Definitions from files.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use taskcluster::Timestamp;
use taskcluster::queue::TaskDefinition;
use taskcluster::time::from_now;

/// The text of a file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file).context("it cannot be read");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

/// The definition with the times that it does not say.
pub(super) fn with_times(
    mut definition: Map<String, Value>,
    deadline: &str,
    now: Timestamp,
) -> Result<Map<String, Value>> {
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

/// The definition with the times of a task that is there, where it says none itself: so that what is created again is the same.
pub(super) fn with_times_of(mut definition: Map<String, Value>, there: &TaskDefinition) -> Map<String, Value> {
    definition.entry("created").or_insert_with(|| there.created.to_string().into());
    definition.entry("deadline").or_insert_with(|| there.deadline.to_string().into());
    definition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_not_said_are_filled_in() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let whole = |text: &str, deadline: &str| with_times(serde_yaml_ng::from_str(text)?, deadline, now);
        let definition = whole("payload: {maxRunTime: 60}\n", "2 hours").unwrap();
        assert_eq!(definition["created"], "2026-03-01T00:00:00.000Z");
        assert_eq!(definition["deadline"], "2026-03-01T02:00:00.000Z");
        assert_eq!(definition["payload"]["maxRunTime"], 60);
        let said = whole(r#"{"created": "2026-01-01T00:00:00Z", "deadline": "x"}"#, "1 day").unwrap();
        assert_eq!((&said["created"], &said["deadline"]), (&"2026-01-01T00:00:00Z".into(), &"x".into()));
        for wrong in ["[1]", "created: soon", "a: ["] {
            assert!(whole(wrong, "1 day").is_err(), "{wrong}");
        }
    }
}
