//! How large a definition is as JSON, and how deep.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::queue::TaskDefinitionRequest;

/// What one more dependency adds to a definition: an id in quotes and a comma.
const DEPENDENCY: usize = 25;

/// All that a definition has besides what is counted: the names of its properties, times, ids.
const REST: usize = 4096;

/// How long it is as JSON with so many dependencies, if that is more than `limit`. Most are not written out for this.
pub(super) fn longer_than(limit: usize, definition: &TaskDefinitionRequest, dependencies: usize) -> Option<usize> {
    if at_most(definition) + dependencies * DEPENDENCY <= limit {
        return None;
    }
    let said = definition.dependencies.as_ref().map_or(0, Vec::len);
    let length = length(definition) + dependencies.saturating_sub(said) * DEPENDENCY;
    (length > limit).then_some(length)
}

/// It is no longer than that, dependencies aside.
fn at_most(definition: &TaskDefinitionRequest) -> usize {
    let TaskDefinitionRequest { metadata, routes, scopes, tags, payload, extra, .. } = definition;
    let lists = routes.iter().chain(scopes).flatten();
    let tags = tags.iter().flatten().flat_map(|(name, value)| [name, value]);
    let told = [&metadata.name, &metadata.description, &metadata.owner, &metadata.source];
    let texts: usize = lists.chain(tags).chain(told).map(|text| of_text(text)).sum();
    REST + texts + of_fields(payload) + extra.as_ref().map_or(0, of_fields)
}

/// Every byte may have to be escaped: `\u0000`. Besides there are quotes, and a comma or colon.
fn of_text(text: &str) -> usize {
    text.len() * 6 + 3
}

fn of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| of_text(name) + of(value)).sum::<usize>() + 3
}

fn of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 6,
        Value::Number(_) => 32,
        Value::String(text) => of_text(text),
        Value::Array(list) => list.iter().map(of).sum::<usize>() + 3,
        Value::Object(fields) => of_fields(fields),
    }
}

/// Whether there are more than `levels` lists and objects within each other.
pub(super) fn is_deeper(value: &Value, levels: usize) -> bool {
    let deeper = |value: &Value| is_deeper(value, levels.saturating_sub(1));
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(list) => list.iter().any(deeper),
        Value::Object(fields) => fields.values().any(deeper),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// How long it is as JSON.
pub(super) fn length(value: &(impl Serialize + ?Sized)) -> usize {
    let mut counted = Count(0);
    // What cannot be written is an error of the call itself.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_estimate_is_never_too_low() {
        let mut definition: TaskDefinitionRequest = serde_json::from_value(json!({
            "taskQueueId": "local/native", "schedulerId": "ours", "projectId": "none", "retries": 5, "priority": "lowest",
            "created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-01T01:00:00.000Z",
            "expires": "2026-01-01T01:00:00.000Z", "requires": "all-resolved", "taskGroupId": "fN1SbArXTPSVFNUvaOlinQ",
            "metadata": {"name": "\u{0}ü\"", "description": "\u{1}".repeat(999), "owner": "", "source": "https://x"},
            "routes": ["\u{2}".repeat(99), ""], "scopes": ["\"\\".repeat(99), ""], "tags": {"\u{3}": "\u{4}"},
            "payload": {"\u{5}": [null, true, false, -1.234_567_890_123_456_7e-300, u64::MAX, {}, [], "\u{6}"]},
            "extra": {"a": {"b": {"c": [[[]]]}}},
        }))
        .unwrap();
        assert!(length(&definition) <= at_most(&definition));
        definition.dependencies = Some(vec![taskcluster_core::ids::TaskId::new(); 1000]);
        assert!(length(&definition) <= at_most(&definition) + 1000 * DEPENDENCY);
        let length = length(&definition);
        assert_eq!(longer_than(length, &definition, 1000), None);
        assert_eq!(longer_than(length - 1, &definition, 1000), Some(length));
    }
}
