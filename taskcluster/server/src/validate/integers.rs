//! Whole numbers that are written as fractions, such as `1.0`.
//!
//! To a JSON schema they are integers, and to the programs of other languages the same numbers; serde tells them apart.

use serde_json::{Number, Value};

/// Beyond these a 64-bit float is no `i64`; both are floats themselves.
const ENDS: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;

/// Writes each whole number in the value as an integer.
pub(super) fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(object) => object.values_mut().for_each(normalize),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn whole(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return None;
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && ENDS.contains(float))?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and between the ends")]
    Some((float as i64).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_become_integers_and_others_stay() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut value = read(r#"{"a": [1.0, -2.0, 1e3, -0.0, 0.5, "1.0"], "b": {"c": 1e18, "d": 1e300, "e": 7}}"#);
        normalize(&mut value);
        let text = r#"{"a":[1,-2,1000,0,0.5,"1.0"],"b":{"c":1000000000000000000,"d":1e+300,"e":7}}"#;
        assert_eq!(value, read(text));
        assert!(value["a"].as_array().unwrap()[..4].iter().all(Value::is_i64), "{value}");
    }

    #[test]
    fn the_ends_of_the_integers_are_kept() {
        let mut value = Value::from(vec![-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0]);
        normalize(&mut value);
        assert_eq!(value[0], i64::MIN);
        assert!(value[1].is_f64());
    }
}
