use serde_json::Value;

use super::Result;
use super::values::kind;

/// The part of a list or a text between two places; negative ones count from the end.
pub(super) fn part(value: &Value, from: Option<i64>, to: Option<i64>) -> Result<Value> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::String(text) => text.chars().count(),
        other => return Err(format!("only lists and texts can be sliced, this is a {}", kind(other))),
    };
    let place = |given: i64| {
        let place = if given < 0 { given + length as i64 } else { given };
        usize::try_from(place).unwrap_or(0).min(length)
    };
    let (from, to) = (from.map_or(0, place), to.map_or(length, place));
    let count = to.saturating_sub(from);
    Ok(match value {
        Value::Array(items) => Value::Array(items.iter().skip(from).take(count).cloned().collect()),
        other => Value::String(other.as_str().unwrap_or_default().chars().skip(from).take(count).collect()),
    })
}
