//! What JSON-e thinks of JSON values: truth, equality, numbers, and how they look as text.

use serde_json::{Map, Number, Value};

use super::Result;

/// The largest whole number up to which a float tells all of them apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => float(number) != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Numbers are equal by what they are, not by how they are written.
pub(super) fn are_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => float(a) == float(b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| are_equal(a, b)))
        }
        _ => a == b,
    }
}

pub(super) fn float(number: &Number) -> f64 {
    // Only numbers of arbitrary precision have no float.
    number.as_f64().unwrap_or(f64::MAX)
}

/// The number, if it is a whole one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let number = float(value.as_number()?);
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// The value of a result; whole numbers are written without a fraction.
pub(super) fn number(result: f64) -> Result<Value> {
    if result.fract() == 0.0 && result.abs() <= EXACT {
        return Ok(Value::from(result as i64));
    }
    Number::from_f64(result).map(Value::Number).ok_or_else(|| format!("{result} is no number of JSON"))
}

/// A single value as text; `None` for lists and objects.
pub(super) fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => float(number).to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The same with the keys of all objects in order.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect::<Map<_, _>>())
        }
        // `1.0` is the number 1.
        Value::Number(n) => number(float(&n)).unwrap_or(Value::Number(n)),
        other => other,
    }
}
