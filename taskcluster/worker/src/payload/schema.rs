//! The schema that all parts make together, and what it says of a payload.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::merge::merge;
use super::reasons::reasons;
use super::{Payload, PayloadPart, Refused};
use crate::error::Error;

/// The engine and plugins declare the same property.
#[derive(Debug, thiserror::Error)]
#[error("{second} declares the payload's {property}, which {first} has declared already")]
pub struct PayloadConflict {
    /// Path of the property.
    pub property: String,
    /// Who declared it first.
    pub first: String,
    /// Who declared it again.
    pub second: String,
}

/// The composed schema of the payloads that a worker takes.
#[derive(Clone, Debug)]
pub struct PayloadSchema {
    schema: Value,
    validator: Arc<jsonschema::Validator>,
    refused: Refused,
}

impl PayloadSchema {
    /// Compose parts, each with the name of who declares it.
    ///
    /// # Errors
    /// Two parts declare the same property.
    ///
    /// # Panics
    /// A part is not a valid schema.
    pub fn compose<'a>(parts: impl IntoIterator<Item = (&'a str, PayloadPart)>) -> Result<Self, PayloadConflict> {
        let mut whole = Map::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), json!({}))]);
        let mut owners = Vec::new();
        for (name, part) in parts {
            merge(&mut whole, part.schema, "", name, &owners)?;
            owners.push(name);
        }
        whole.entry("additionalProperties").or_insert(json!(false));
        let mut schema = Value::Object(whole);
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema["title"] = json!("Payload of a task");
        let validator = jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(&schema)
            .expect("parts are valid schemas");
        Ok(Self { schema, validator: Arc::new(validator), refused: Refused::default() })
    }

    /// Refuse payloads that ask for this as well. The schema itself stays as it is.
    #[must_use]
    pub fn refusing(mut self, refused: Refused) -> Self {
        self.refused = refused;
        self
    }

    /// The schema itself, for documentation and other people's tools.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.schema
    }

    /// Check a payload.
    ///
    /// # Errors
    /// [`Error::Payload`] with one reason per violation, and for each thing that is [refused](Self::refusing).
    pub fn validate(&self, payload: &Map<String, Value>) -> Result<Payload, Error> {
        let mut value = Value::Object(payload.clone());
        whole_numbers(&mut value);
        let mut reasons: Vec<String> = self.validator.iter_errors(&value).flat_map(|error| reasons(&error)).collect();
        reasons.extend(self.refused.reasons(&value));
        if reasons.is_empty() {
            return Ok(Payload { value: Arc::new(value) });
        }
        reasons.sort();
        Err(Error::Payload(reasons))
    }
}

/// Write numbers like `60.0`, which are integers to a schema, as the integers that they are.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            // Beyond this, not every integer is a floating point number.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if let Some(whole) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT) {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
