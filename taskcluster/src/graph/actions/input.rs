//! What is entered for an action, held against the schema that asks for it.

use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use super::ActionError;

/// Nobody reads more.
const MAX_FAULTS: usize = 20;

/// Checks what was entered. An action without schema asks for nothing: `null` and `{}` are that.
pub(super) fn check(name: &str, schema: Option<&Value>, input: &Value) -> Result<(), ActionError> {
    let faults: Vec<String> = match schema {
        Some(schema) => validator(name, schema)?.iter_errors(input).take(MAX_FAULTS).map(|e| fault(&e)).collect(),
        None if input.is_null() || input.as_object().is_some_and(Map::is_empty) => Vec::new(),
        None => vec!["it asks for none".to_owned()],
    };
    if faults.is_empty() { Ok(()) } else { Err(ActionError::Input { name: name.to_owned(), faults }) }
}

/// User interfaces read draft 7.
pub(super) fn validator(name: &str, schema: &Value) -> Result<Validator, ActionError> {
    let built = jsonschema::draft7::options().should_validate_formats(true).build(schema);
    built.map_err(|error| ActionError::Schema { name: name.to_owned(), reason: error.to_string() })
}

/// Where it is wrong, and how; what was entered is not repeated.
fn fault(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "the input" } else { &place };
    format!("{place}: {}", error.masked())
}
