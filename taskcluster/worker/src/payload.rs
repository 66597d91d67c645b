//! The payload of a task: declared in parts, composed once, validated once.
//!
//! Each engine and plugin describes its part as a Rust type. Parts are merged property by property, so two plugins may both
//! have a flag under `features`, but no two may define the same property. The composed schema is closed: what nobody
//! declared is a violation.

use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::Error;

/// What one engine or plugin declares of the payload: an object schema.
#[derive(Clone, Debug, Default)]
pub struct PayloadPart {
    schema: Map<String, Value>,
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

/// How a plugin finds its settings `T` in a payload. The feature is the same in every worker, but payloads of different workers
/// name and nest it differently.
///
/// ```
/// use taskcluster_worker::PayloadForm;
///
/// /// Seconds without output after which something is done.
/// #[derive(Debug, PartialEq)]
/// struct Patience(u64);
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(rename_all = "camelCase")]
/// struct OurPayload {
///     /// How long the task may be silent, in minutes.
///     silent_minutes: u64,
/// }
///
/// impl From<OurPayload> for Patience {
///     fn from(payload: OurPayload) -> Self {
///         Self(payload.silent_minutes * 60)
///     }
/// }
///
/// let form = PayloadForm::<Patience>::of::<OurPayload>();
/// # let schema = taskcluster_worker::PayloadSchema::compose([("patience", form.part())])?;
/// # let payload = serde_json::from_value(serde_json::json!({"silentMinutes": 2}))?;
/// # let payload = schema.validate(&payload)?;
/// assert_eq!(form.read(&payload)?, Patience(120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PayloadForm<T> {
    part: PayloadPart,
    read: fn(&Payload) -> Result<T, Error>,
}

impl<T> PayloadForm<T> {
    /// The settings stand in the payload as `P` says.
    #[must_use]
    pub fn of<P: DeserializeOwned + JsonSchema + Into<T>>() -> Self {
        Self { part: PayloadPart::of::<P>(), read: |payload| Ok(payload.part::<P>()?.into()) }
    }

    /// What the plugin declares of the payload.
    #[must_use]
    pub fn part(&self) -> PayloadPart {
        self.part.clone()
    }

    /// The settings of a task.
    ///
    /// # Errors
    /// [`Error::Payload`]: the part is stricter than its schema says.
    pub fn read(&self, payload: &Payload) -> Result<T, Error> {
        (self.read)(payload)
    }
}

impl<T> Clone for PayloadForm<T> {
    fn clone(&self) -> Self {
        Self { part: self.part.clone(), read: self.read }
    }
}

impl<T> std::fmt::Debug for PayloadForm<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadForm").field("part", &self.part).finish_non_exhaustive()
    }
}

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
        Ok(Self { schema, validator: Arc::new(validator) })
    }

    /// The schema itself, for documentation and other people's tools.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.schema
    }

    /// Check a payload.
    ///
    /// # Errors
    /// [`Error::Payload`] with one reason per violation.
    pub fn validate(&self, payload: &Map<String, Value>) -> Result<Payload, Error> {
        let mut value = Value::Object(payload.clone());
        whole_numbers(&mut value);
        let mut reasons: Vec<String> = self.validator.iter_errors(&value).flat_map(|error| reasons(&error)).collect();
        if reasons.is_empty() {
            return Ok(Payload { value: Arc::new(value) });
        }
        reasons.sort();
        Err(Error::Payload(reasons))
    }
}

/// A payload that fits the schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Payload {
    value: Arc<Value>,
}

impl Payload {
    /// The part that `T` describes.
    ///
    /// # Errors
    /// [`Error::Payload`]: the part is stricter than its schema says.
    pub fn part<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&*self.value).map_err(|error| Error::payload(format!("payload: {error}")))
    }

    /// The whole of it.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.value
    }
}

/// What is wrong. Where there are alternatives, what keeps the value from being the one that it is nearest to.
fn reasons(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let alternatives = context.iter().map(|errors| errors.iter().flat_map(reasons).collect::<Vec<_>>());
            alternatives
                .min_by_key(Vec::len)
                .filter(|nearest| !nearest.is_empty())
                .unwrap_or_else(|| vec![reason(error)])
        }
        _ => vec![reason(error)],
    }
}

fn reason(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let mut text = error.to_string();
    // Error texts quote the instance; a large one would bury the reason.
    if text.len() > 500 {
        let cut = (0..=500).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    format!("payload{path}: {text}")
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

/// Merge `part` into `whole`, both object schemas.
fn merge(
    whole: &mut Map<String, Value>,
    part: Map<String, Value>,
    path: &str,
    name: &str,
    owners: &[&str],
) -> Result<(), PayloadConflict> {
    for (key, value) in part {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                let known = whole.entry("properties").or_insert_with(|| json!({}));
                let Value::Object(known) = known else { unreachable!("properties are an object") };
                for (property, schema) in properties {
                    let path = format!("{path}/{property}");
                    merge_property(known, property, schema, &path, name, owners)?;
                }
            }
            ("required", Value::Array(more)) => {
                let known = whole.entry("required").or_insert_with(|| json!([]));
                known.as_array_mut().expect("required is a list").extend(more);
            }
            // An object that is made of parts may be absent, whatever its first owner thought the default to be.
            ("default", _) => {
                whole.remove("default");
            }
            (_, value) => {
                whole.entry(key).or_insert(value);
            }
        }
    }
    Ok(())
}

fn merge_property(
    known: &mut Map<String, Value>,
    property: String,
    schema: Value,
    path: &str,
    name: &str,
    owners: &[&str],
) -> Result<(), PayloadConflict> {
    match (known.get_mut(&property), schema) {
        (None, schema) => {
            known.insert(property, schema);
            Ok(())
        }
        (Some(Value::Object(first)), Value::Object(second)) if is_struct(first) && is_struct(&second) => {
            merge(first, second, path, name, owners)
        }
        (Some(_), _) => {
            Err(PayloadConflict { property: path.to_owned(), first: owners.join(" or "), second: name.to_owned() })
        }
    }
}

fn is_struct(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties")
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only the schema is looked at")]
    struct Commands {
        command: Vec<String>,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct ProxyFlag {
        features: ProxyFeatures,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct ProxyFeatures {
        proxy: Option<bool>,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct LogFlag {
        features: LogFeatures,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct LogFeatures {
        log: bool,
    }

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn schema() -> PayloadSchema {
        PayloadSchema::compose([
            ("engine", PayloadPart::of::<Commands>()),
            ("proxy", PayloadPart::of::<ProxyFlag>()),
            ("log", PayloadPart::of::<LogFlag>()),
        ])
        .unwrap()
    }

    #[test]
    fn parts_share_an_object_of_flags() {
        let payload =
            schema().validate(&object(json!({"command": ["true"], "features": {"proxy": true, "log": true}}))).unwrap();
        assert_eq!(payload.part::<ProxyFlag>().unwrap().features.proxy, Some(true));
        assert!(payload.part::<LogFlag>().unwrap().features.log);
    }

    #[test]
    fn a_schema_from_elsewhere_is_taken_as_it_stands_but_closed_at_the_top() {
        let written = json!({
            "$id": "https://example.com/schemas/any.json",
            "required": ["kind"],
            "properties": {"kind": {"$ref": "#/definitions/kind"}, "free": {"properties": {"known": {}}}},
            "definitions": {"kind": {"enum": ["a", "b"]}},
            "if": {"properties": {"kind": {"const": "b"}}},
            "then": {"required": ["free"]},
        });
        let part = PayloadPart::from_schema(written).unwrap();
        let schema = PayloadSchema::compose([("log", PayloadPart::of::<LogFlag>()), ("script", part)]).unwrap();
        let check = |payload: Value| schema.validate(&object(payload)).map(drop).map_err(|error| error.to_string());
        assert_eq!(check(json!({"kind": "a", "features": {"log": true}})), Ok(()));
        assert_eq!(check(json!({"kind": "b", "free": {"known": 1, "other": 2}})), Ok(()));
        assert!(check(json!({"kind": "b"})).unwrap_err().contains("free"));
        assert!(check(json!({"kind": "c"})).is_err());
        assert!(check(json!({"kind": "a", "other": 1})).unwrap_err().contains("other"));
    }

    #[test]
    fn what_is_no_schema_of_an_object_is_refused() {
        for (schema, problem) in [
            (json!({"type": "string"}), "must be \"object\""),
            (json!(true), "not an object"),
            (json!({"properties": {"a": {"type": "nothing"}}}), "nothing"),
            (json!({"properties": {"a": {"$ref": "https://example.com/elsewhere.json"}}}), "elsewhere"),
        ] {
            let error = PayloadPart::from_schema(schema.clone()).expect_err("no part").to_string();
            assert!(error.contains(problem), "{schema}: {error}");
        }
    }

    #[test]
    fn every_violation_is_a_reason() {
        let error =
            schema().validate(&object(json!({"features": {"proxy": null, "unknown": true}, "extra": 1}))).unwrap_err();
        let text = error.reasons().join("\n");
        assert!(matches!(error, Error::Payload(_)));
        for part in ["command", "payload/features: ", "unknown", "payload/features/proxy", "extra"] {
            assert!(text.contains(part), "{part} is missing from:\n{text}");
        }
    }

    #[test]
    fn of_alternatives_the_nearest_is_held_against_the_value() {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[allow(dead_code, reason = "only the schema is looked at")]
        struct Mounts {
            mounts: Vec<Mount>,
        }

        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(untagged)]
        #[allow(dead_code, reason = "only the schema is looked at")]
        enum Mount {
            #[serde(rename_all = "camelCase")]
            File { file: String, content: Vec<String> },
            #[serde(rename_all = "camelCase")]
            Cache { directory: String, cache_name: String },
        }

        let schema = PayloadSchema::compose([("mounts", PayloadPart::of::<Mounts>())]).unwrap();
        let payload = object(json!({"mounts": [{"directory": "cache", "cachename": "x"}]}));
        let reasons = schema.validate(&payload).unwrap_err().reasons().join("\n");
        assert!(reasons.contains("payload/mounts/0: ") && reasons.contains("\"cacheName\" is a required"), "{reasons}");
        assert!(!reasons.contains("anyOf"), "{reasons}");
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        #[derive(Debug, Deserialize, JsonSchema)]
        struct Limit {
            seconds: u64,
        }

        let schema = PayloadSchema::compose([("limit", PayloadPart::of::<Limit>())]).unwrap();
        let payload = schema.validate(&object(json!({"seconds": 60.0}))).unwrap();
        assert_eq!(payload.part::<Limit>().unwrap().seconds, 60);
        assert!(schema.validate(&object(json!({"seconds": 60.5}))).is_err());
    }

    #[test]
    fn one_property_has_one_owner() {
        let conflict = PayloadSchema::compose([
            ("engine", PayloadPart::of::<Commands>()),
            ("shell", PayloadPart::of::<Commands>()),
        ])
        .unwrap_err();
        assert_eq!(conflict.property, "/command");
        assert_eq!(conflict.second, "shell");
    }
}
