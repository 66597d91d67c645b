//! What one engine or plugin declares of the payload.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::merge::is_struct;

/// What one engine or plugin declares of the payload: an object schema.
#[derive(Clone, Debug, Default)]
pub struct PayloadPart {
    pub(super) schema: Map<String, Value>,
}

impl PayloadPart {
    /// No property at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The properties of a struct. Optional fields may be absent, but not `null`.
    ///
    /// # Panics
    /// `T` is not a struct with named fields.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        forbid_null(&mut schema);
        let Value::Object(mut schema) = schema else { panic!("a part of the payload is an object") };
        assert_eq!(schema.get("type"), Some(&json!("object")), "a part of the payload is a struct with named fields");
        schema.entry("properties").or_insert_with(|| json!({}));
        close(&mut schema);
        Self::named_by_nobody(schema)
    }

    /// What a JSON schema says that was written elsewhere, in draft 7. It stays as it is, but for properties that it says nothing of:
    /// without `additionalProperties`, a payload has none but those of the schema and of other parts.
    ///
    /// # Errors
    /// It is no schema, or not one of an object; it refers to another document.
    pub fn from_schema(schema: Value) -> Result<Self, NotAPart> {
        let problem = |problem: String| NotAPart { problem };
        jsonschema::draft7::new(&schema).map_err(|error| problem(error.to_string()))?;
        let Value::Object(mut schema) = schema else { return Err(problem("it is not an object".to_owned())) };
        if schema.entry("type").or_insert_with(|| json!("object")) != "object" {
            return Err(problem("a payload is an object: \"type\" must be \"object\"".to_owned()));
        }
        schema.entry("properties").or_insert_with(|| json!({}));
        Ok(Self::named_by_nobody(schema))
    }

    /// What is said of a schema as a whole is not said of one that it is a part of.
    fn named_by_nobody(mut schema: Map<String, Value>) -> Self {
        for key in ["$schema", "$id", "title", "description"] {
            schema.remove(key);
        }
        Self { schema }
    }
}

/// A JSON schema is no part of a payload's.
#[derive(Debug, thiserror::Error)]
#[error("the schema cannot be a payload's: {problem}")]
pub struct NotAPart {
    problem: String,
}

/// Whoever declares properties of an object means only these.
fn close(schema: &mut Map<String, Value>) {
    if is_struct(schema) {
        schema.entry("additionalProperties").or_insert(json!(false));
    }
    for value in schema.values_mut() {
        close_within(value);
    }
}

fn close_within(value: &mut Value) {
    match value {
        Value::Object(map) => close(map),
        Value::Array(items) => items.iter_mut().for_each(close_within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Optional fields of Rust types may be `null`; those of a payload are absent instead.
fn forbid_null(value: &mut Value) {
    if let Value::Object(map) = value {
        if map.get("default").is_some_and(Value::is_null) {
            map.remove("default");
        }
        if let Some(Value::Array(types)) = map.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                map.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = map.get_mut("enum") {
            choices.retain(|choice| !choice.is_null());
        }
        if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                map.remove("anyOf");
                map.extend(only);
            }
        }
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(forbid_null),
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
