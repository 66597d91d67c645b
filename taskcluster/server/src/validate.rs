//! JSON schemas: the one place that knows which library checks them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};
use url::Url;

use crate::references::{ReferenceError, References};

mod defaults;
mod integers;

use defaults::Defaults;

/// Nobody reads more violations than this, and a body can be made to have millions.
const MAX_FAULTS: usize = 100;

/// The length of one of them, in characters.
const MAX_FAULT: usize = 1000;

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A document is missing or is no JSON.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// It refers to something that does not exist, or is no schema.
    #[error("the schema {schema} cannot be used: {reason}")]
    Invalid {
        /// The schema.
        schema: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Everything in which a value breaks a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    schema: String,
    faults: Vec<String>,
}

impl Violations {
    /// One line for each: where, and what is wrong there.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "It does not fit the schema {}:", self.schema)?;
        for fault in &self.faults {
            write!(f, "\n  * {fault}")?;
        }
        Ok(())
    }
}

impl References {
    /// What is wrong with the body of a request, by the schema that the service's operation names, such as
    /// `v1/create-task-request.json#`: a line for each fault, as the service itself would tell it. Asks nobody.
    ///
    /// ```
    /// use taskcluster_server::References;
    ///
    /// let references = References::embedded();
    /// let faults = references.faults("auth", "v1/create-role-request.json#", &serde_json::json!({ "scopes": "all" }))?;
    /// assert!(faults.iter().any(|fault| fault.starts_with("/scopes: ")), "{faults:?}");
    /// # Ok::<(), taskcluster_server::SchemaError>(())
    /// ```
    ///
    /// # Errors
    /// There is no such schema, or it cannot be used.
    pub fn faults(&self, service: &str, schema: &str, body: &Value) -> Result<Vec<String>, SchemaError> {
        // Where a deployment would publish them plays no part: nothing is fetched from there.
        let schema = Schemas::of_service(self, "https://taskcluster.invalid", service)?.get(service, schema)?;
        Ok(schema.accept(body.clone()).err().map(|violations| violations.faults).unwrap_or_default())
    }
}

/// The schemas of one service and those that they refer to, compiled when first used and then kept.
pub(crate) struct Schemas {
    root_url: String,
    /// Absolute, by their URL without fragment.
    documents: BTreeMap<String, Value>,
    registry: Registry<'static>,
    compiled: Mutex<BTreeMap<String, Arc<Schema>>>,
}

impl Schemas {
    /// Takes the schemas of a service, and what they refer to, out of the references.
    pub(crate) fn of_service(references: &References, root_url: &str, service: &str) -> Result<Self, SchemaError> {
        let root_url = root_url.trim_end_matches('/').to_owned();
        let own = format!("/schemas/{service}/");
        let mut documents = BTreeMap::new();
        for path in references.paths().filter(|path| path.starts_with(&own)) {
            load(references, &root_url, path, &mut documents)?;
        }
        let pairs: Vec<(String, jsonschema::Resource)> = documents
            .iter()
            .map(|(url, document)| (url.clone(), Draft::Draft6.create_resource(document.clone())))
            .collect();
        let registry = Registry::new()
            .draft(Draft::Draft6)
            .extend(pairs)
            .and_then(jsonschema::RegistryBuilder::prepare)
            .map_err(|error| SchemaError::Invalid { schema: own, reason: error.to_string() })?;
        Ok(Self { root_url, documents, registry, compiled: Mutex::default() })
    }

    /// The schema that an operation of a service names, such as `v1/task.json#`.
    pub(crate) fn get(&self, service: &str, name: &str) -> Result<Arc<Schema>, SchemaError> {
        let path = if name.starts_with('/') { name.to_owned() } else { format!("/schemas/{service}/{name}") };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = compiled.get(&path) {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(self.compile(&format!("{}{path}", self.root_url))?);
        compiled.insert(path, Arc::clone(&schema));
        Ok(schema)
    }

    fn compile(&self, id: &str) -> Result<Schema, SchemaError> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft6)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({ "$ref": id }))
            .map_err(|error| SchemaError::Invalid { schema: id.to_owned(), reason: error.to_string() })?;
        let defaults = Defaults::of(&self.documents, id);
        Ok(Schema { id: id.to_owned(), validator, defaults })
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.documents.keys()).finish()
    }
}

/// One schema, ready for use.
#[derive(Debug)]
pub(crate) struct Schema {
    id: String,
    validator: Validator,
    defaults: Option<Arc<Defaults>>,
}

impl Schema {
    /// Adds what the value leaves out and the schema has a default for.
    fn fill_defaults(&self, value: &mut Value) {
        if let Some(defaults) = &self.defaults {
            defaults.fill(value);
        }
    }

    /// Makes a value that comes from outside what handlers shall see, if it is right: with the defaults, and with whole
    /// numbers as integers.
    pub(crate) fn accept(&self, mut value: Value) -> Result<Value, Violations> {
        self.fill_defaults(&mut value);
        self.check(&value)?;
        integers::normalize(&mut value);
        Ok(value)
    }

    /// Checks a value; every violation is listed, the offending values themselves are not repeated.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Violations> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let mut errors = self.validator.iter_errors(value);
        let mut faults: Vec<String> = errors.by_ref().take(MAX_FAULTS).map(|error| fault(&error)).collect();
        if errors.next().is_some() {
            faults.push("and more".to_owned());
        }
        Err(Violations { schema: self.id.clone(), faults })
    }
}

/// Where a value is wrong, and how.
fn fault(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "the top level" } else { &place };
    let mut text = format!("{place}: {}", error.masked());
    if let Some((end, _)) = text.char_indices().nth(MAX_FAULT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Loads a document and, step by step, everything that it refers to.
fn load(
    references: &References,
    root_url: &str,
    path: &str,
    documents: &mut BTreeMap<String, Value>,
) -> Result<(), SchemaError> {
    let url = format!("{root_url}{path}");
    if documents.contains_key(&url) {
        return Ok(());
    }
    let mut document = references.absolute(root_url, path)?;
    // The meta-schema is TaskCluster's own; draft 6 is what it amounts to.
    if let Some(object) = document.as_object_mut() {
        object.remove("$schema");
    }
    let mut targets = Vec::new();
    collect_targets(&document, &mut targets);
    documents.insert(url.clone(), document);
    for target in targets {
        if let Some(path) = document_of(&url, &target).and_then(|url| url.strip_prefix(root_url).map(str::to_owned)) {
            load(references, root_url, &path, documents)?;
        }
    }
    Ok(())
}

/// The URL of the document that a `$ref` found in another document leads to.
fn document_of(base: &str, target: &str) -> Option<String> {
    let mut url = Url::parse(base).ok()?.join(target).ok()?;
    url.set_fragment(None);
    Some(url.into())
}

fn collect_targets(value: &Value, targets: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => targets.push(target.clone()),
                    other => collect_targets(other, targets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_targets(item, targets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ROOT: &str = "https://tc.example";

    fn schema(text: &'static str) -> Arc<Schema> {
        let references = References::from_files([
            ("tiny/v1/schemas/main.json", text.into()),
            (
                "tiny/v1/schemas/shared.json",
                r##"{"$id": "/schemas/tiny/v1/shared.json#", "type": "object", "properties":
                    {"level": {"type": "integer", "default": 3}}, "additionalProperties": false}"##
                    .into(),
            ),
        ]);
        Schemas::of_service(&references, ROOT, "tiny").unwrap().get("tiny", "v1/main.json#").unwrap()
    }

    fn faults(schema: &Schema, value: &Value) -> Vec<String> {
        schema.check(value).err().map(|violations| violations.faults).unwrap_or_default()
    }

    #[test]
    fn every_violation_is_listed() {
        let schema = schema(
            r##"{"$id": "/schemas/tiny/v1/main.json#", "$schema": "/schemas/common/metaschema.json#", "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 3}, "when": {"type": "string", "format": "date-time"},
                "where": {"type": "string", "format": "uri"}}, "required": ["name"], "additionalProperties": false}"##,
        );
        let found = faults(&schema, &json!({ "name": "secret", "when": "today", "where": "here", "odd": 1 }));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.iter().any(|fault| fault.contains("odd")), "{found:?}");
        assert!(found.iter().any(|fault| fault.starts_with("/name: ")), "{found:?}");
        assert!(!found.iter().any(|fault| fault.contains("secret")), "{found:?}");
        assert!(faults(&schema, &json!([]))[0].starts_with("the top level: "));
    }

    #[test]
    fn an_answer_is_not_larger_than_its_question() {
        let schema = schema(
            r##"{"$id": "/schemas/tiny/v1/main.json#", "type": "array", "items": {"type": "object", "maxProperties": 1,
                "additionalProperties": false}}"##,
        );
        let found = faults(&schema, &Value::Array(vec![json!(1); 10_000]));
        assert_eq!((found.len(), found[MAX_FAULTS].as_str()), (MAX_FAULTS + 1, "and more"));
        let found = faults(&schema, &json!([{ ("x".repeat(100_000)): 1 }]));
        assert!(found[0].len() < 2_000, "{}", found[0].len());
    }

    #[test]
    fn times_need_a_zone_and_addresses_a_scheme() {
        let schema = schema(
            r##"{"$id": "/schemas/tiny/v1/main.json#", "type": "object", "properties":
                {"when": {"type": "string", "format": "date-time"}, "where": {"type": "string", "format": "uri"}}}"##,
        );
        for good in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.1+02:00"] {
            assert_eq!(faults(&schema, &json!({ "when": good })), [""; 0], "{good}");
        }
        for bad in ["2026-01-02T03:04:05", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02 03:04"] {
            assert_eq!(faults(&schema, &json!({ "when": bad })).len(), 1, "{bad}");
        }
        assert_eq!(faults(&schema, &json!({ "where": "https://x.example/y" })), [""; 0]);
        assert_eq!(faults(&schema, &json!({ "where": "/relative" })).len(), 1);
    }

    #[test]
    fn defaults_are_filled_in_through_references() {
        let schema = schema(
            r##"{"$id": "/schemas/tiny/v1/main.json#", "type": "object", "properties": {
                "list": {"type": "array", "default": []}, "shared": {"$ref": "shared.json#"},
                "many": {"type": "array", "items": {"$ref": "/schemas/tiny/v1/shared.json#"}}}}"##,
        );
        let mut value = json!({ "shared": {}, "many": [{}, { "level": 1 }] });
        schema.fill_defaults(&mut value);
        assert_eq!(value, json!({ "list": [], "shared": { "level": 3 }, "many": [{ "level": 3 }, { "level": 1 }] }));
        assert_eq!(faults(&schema, &value), [""; 0]);
        assert_eq!(faults(&schema, &json!({ "shared": { "odd": 1 } })).len(), 1);
    }

    #[test]
    fn a_default_of_another_type_does_not_hide_what_is_missing() {
        let schema = schema(
            r##"{"$id": "/schemas/tiny/v1/main.json#", "type": "object", "properties":
                {"payload": {"type": "object", "default": []}}, "required": ["payload"]}"##,
        );
        let mut value = json!({});
        schema.fill_defaults(&mut value);
        assert_eq!(faults(&schema, &value), ["the top level: \"payload\" is a required property"]);
    }

    #[test]
    fn every_embedded_schema_compiles() {
        let references = References::embedded();
        let service =
            |path: &str| path.strip_prefix("/schemas/")?.split_once('/').map(|(service, _)| service.to_owned());
        let services: BTreeSet<String> =
            references.paths().filter_map(service).filter(|name| name != "common").collect();
        assert!(services.len() >= 12, "{services:?}");
        for service in &services {
            let schemas = Schemas::of_service(&references, ROOT, service).unwrap();
            for path in references.paths().filter(|path| path.starts_with(&format!("/schemas/{service}/"))) {
                schemas.get(service, &format!("{path}#")).unwrap();
            }
        }
    }
}
