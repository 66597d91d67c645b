//! What is entered for an action, held against the schema that asks for it.

#[cfg(feature = "actions-input")]
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use super::ActionError;

/// Nobody reads more.
#[cfg(feature = "actions-input")]
const MAX_FAULTS: usize = 20;

/// Checks what was entered. An action without schema asks for nothing: `null` and `{}` are that.
pub(super) fn check(name: &str, schema: Option<&Value>, input: &Value) -> Result<(), ActionError> {
    let faults: Vec<String> = match schema {
        #[cfg(feature = "actions-input")]
        Some(schema) => validator(name, schema)?.iter_errors(input).take(MAX_FAULTS).map(|e| fault(&e)).collect(),
        // Nothing in this build can ask for any.
        #[cfg(not(feature = "actions-input"))]
        Some(_) => vec!["this program was built without the feature `actions-input`".to_owned()],
        None if input.is_null() || input.as_object().is_some_and(Map::is_empty) => Vec::new(),
        None => vec!["it asks for none".to_owned()],
    };
    if faults.is_empty() { Ok(()) } else { Err(ActionError::Input { name: name.to_owned(), faults }) }
}

/// Whether the schema is one.
pub(super) fn can_be_checked(name: &str, schema: &Value) -> Result<(), ActionError> {
    #[cfg(feature = "actions-input")]
    validator(name, schema)?;
    let _ = (name, schema);
    Ok(())
}

/// User interfaces read draft 7.
#[cfg(feature = "actions-input")]
fn validator(name: &str, schema: &Value) -> Result<Validator, ActionError> {
    let built = jsonschema::draft7::options().should_validate_formats(true).build(schema);
    built.map_err(|error| ActionError::Schema { name: name.to_owned(), reason: error.to_string() })
}

/// Where it is wrong, and how; what was entered is not repeated.
#[cfg(feature = "actions-input")]
fn fault(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "the input" } else { &place };
    format!("{place}: {}", error.masked())
}
