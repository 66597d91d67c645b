//! Values that fit a JSON schema, one for each of the schema's alternatives, and the same as a newer service might send
//! them: with a property that we do not know, or with an enumerated string that we do not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The schemas of all services by id, without the `#` at the end.
pub(crate) struct Schemas(BTreeMap<String, Value>);

/// What a newer service might do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// One more property in an object whose properties are known.
    Property,
    /// Another string where the known ones are listed.
    EnumValue,
}

pub(crate) const NEW_PROPERTY: &str = "someNewProperty";
pub(crate) const NEW_VALUE: &str = "some-new-value";

impl Schemas {
    /// All schemas of the references.
    pub(crate) fn read() -> Self {
        let mut schemas = BTreeMap::new();
        for (file, text) in taskcluster_api_references::FILES {
            let schema: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            if let Some(id) = schema["$id"].as_str() {
                schemas.insert(id.trim_end_matches('#').to_owned(), schema);
            }
        }
        Self(schemas)
    }

    /// A value for each alternative of a schema.
    pub(crate) fn instances(&self, id: &str) -> Vec<Value> {
        Walk { schemas: self, target: None, places: 0, depth: 0 }.whole(id)
    }

    /// The same values with one novelty each, in every place where there can be one.
    pub(crate) fn novel_instances(&self, id: &str, novelty: Novelty) -> Vec<Value> {
        let mut count = Walk { schemas: self, target: Some((novelty, usize::MAX)), places: 0, depth: 0 };
        count.whole(id);
        let places = count.places;
        let novel = |place| {
            let mut walk = Walk { schemas: self, target: Some((novelty, place)), places: 0, depth: 0 };
            walk.whole(id).into_iter().filter(is_novel).collect::<Vec<_>>()
        };
        (0..places).flat_map(novel).collect()
    }
}

fn is_novel(value: &Value) -> bool {
    match value {
        Value::String(text) => text == NEW_VALUE,
        Value::Array(items) => items.iter().any(is_novel),
        Value::Object(properties) => properties.iter().any(|(name, value)| name == NEW_PROPERTY || is_novel(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

struct Walk<'a> {
    schemas: &'a Schemas,
    /// Which novelty to put in, and at which of its places.
    target: Option<(Novelty, usize)>,
    /// How many places for it have been passed.
    places: usize,
    depth: usize,
}

impl Walk<'_> {
    fn whole(&mut self, id: &str) -> Vec<Value> {
        self.reference(id, "")
    }

    /// Whether this is the place.
    fn here(&mut self, novelty: Novelty) -> bool {
        let Some((wanted, place)) = self.target else { return false };
        if wanted != novelty {
            return false;
        }
        self.places += 1;
        self.places - 1 == place
    }

    fn reference(&mut self, reference: &str, base: &str) -> Vec<Value> {
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let id = match document {
            "" => base.to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("{}/{relative}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        let root = self.schemas.0.get(&id).unwrap_or_else(|| panic!("no schema {id}, from {reference} in {base}"));
        let schema = root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {id}"));
        self.values(schema, &id)
    }

    fn values(&mut self, schema: &Value, base: &str) -> Vec<Value> {
        self.depth += 1;
        assert!(self.depth < 40, "{base} refers to itself: teach this walk where to stop");
        let values = self.alternatives(schema, base);
        self.depth -= 1;
        assert!(!values.is_empty(), "{base}: nothing fits {schema}");
        values
    }

    fn alternatives(&mut self, schema: &Value, base: &str) -> Vec<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.reference(reference, base);
        }
        if let Some(constant) = schema.get("const") {
            // Another constant is what marks a variant that is new.
            let is_open = constant.is_string() && self.here(Novelty::EnumValue);
            return vec![if is_open { json!(NEW_VALUE) } else { constant.clone() }];
        }
        if let Some(values) = schema["enum"].as_array() {
            let is_open = values.iter().all(Value::is_string) && self.here(Novelty::EnumValue);
            return if is_open { vec![json!(NEW_VALUE)] } else { values.clone() };
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = schema[keyword].as_array()
                && !branches.iter().all(is_mere_condition)
            {
                return branches.iter().flat_map(|branch| self.values(branch, base)).collect();
            }
        }
        match schema["type"].as_str() {
            Some("object") => self.objects(schema, base),
            Some("array") => vec![Value::Array(self.values(&schema["items"], base))],
            Some("string") => vec![json!(text(schema))],
            Some("integer") => vec![schema.get("minimum").cloned().unwrap_or(json!(3))],
            Some("number") => vec![json!(schema["maximum"].as_f64().map_or(1.5, |most| most / 2.0))],
            Some("boolean") => vec![json!(true)],
            Some("null") => vec![Value::Null],
            None if schema["properties"].is_object() => self.objects(schema, base),
            None => vec![json!({"any": ["thing", 1, null]})],
            Some(other) => panic!("{base}: no example for type {other}"),
        }
    }

    fn property(&mut self, name: &str, schema: &Value, base: &str) -> Vec<Value> {
        match self.values(schema, base) {
            _ if name == "taskIds" => vec![json!([TASK_ID])],
            values if TASK_IDS.contains(&name) && values.iter().all(Value::is_string) => vec![json!(TASK_ID)],
            values => values,
        }
    }

    /// One object with all properties, and one more for each further alternative of a property.
    fn objects(&mut self, schema: &Value, base: &str) -> Vec<Value> {
        let Some(properties) = schema["properties"].as_object() else {
            return match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => {
                    let values = self.values(values, base);
                    vec![values.into_iter().enumerate().map(|(n, value)| (format!("key{n}"), value)).collect()]
                }
                _ => vec![json!({"free": {"form": true}})],
            };
        };
        let alternatives: Vec<(&String, Vec<Value>)> =
            properties.iter().map(|(name, property)| (name, self.property(name, property, base))).collect();
        let mut first: Map<String, Value> =
            alternatives.iter().map(|(name, values)| ((*name).clone(), values[0].clone())).collect();
        if self.here(Novelty::Property) {
            first.insert(NEW_PROPERTY.to_owned(), json!({"of": ["a", "newer", "service"]}));
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut objects = vec![first.clone()];
        for (name, values) in &alternatives {
            for value in &values[1..] {
                let mut object = first.clone();
                object.insert((*name).clone(), value.clone());
                objects.push(object);
            }
            if !required.contains(&name.as_str()) {
                let mut object = first.clone();
                object.remove(*name);
                objects.push(object);
            }
        }
        objects.into_iter().map(Value::Object).collect()
    }
}

/// What clients take for a task's id by its name alone, whether or not the schema has a pattern for it.
const TASK_IDS: [&str; 2] = ["taskId", "taskGroupId"];
pub(crate) const TASK_ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

/// `{"required": […]}` and the like: says which of the properties beside it go together.
fn is_mere_condition(branch: &Value) -> bool {
    ["$ref", "type", "properties", "enum", "const"].iter().all(|keyword| branch.get(keyword).is_none())
        && branch.is_object()
}

fn text(schema: &Value) -> &str {
    // Branches that differ in nothing but their format stand beside the type.
    match schema["format"].as_str().or(schema["oneOf"][0]["format"].as_str()) {
        Some("date-time") => return "2024-05-06T07:08:09.012Z",
        Some("email") => return "somebody@example.com",
        Some("ipv4") => return "203.0.113.7",
        Some("ipv6") => return "2001:db8::7",
        Some("uri") => return "https://example.com/x?y=1",
        _ => {}
    }
    // What a slugid looks like is the one pattern that a client relies on.
    match schema["pattern"].as_str() {
        Some(pattern) if pattern.contains("[AQgw]") => TASK_ID,
        Some(pattern) if pattern.contains("https?:") => "https://example.com/x",
        Some(pattern) if pattern.contains("{64}") => HEX.0,
        Some(pattern) if pattern.contains("{128}") => HEX.1,
        Some(pattern) if pattern.contains("{44}") => HEX.0.split_at(44).0,
        Some(pattern) if pattern.contains("/") => "provisioner/worker-type",
        _ => "text",
    }
}

/// Checksums as long as SHA-256 and SHA-512 are.
const HEX: (&str, &str) = (
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
     0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
);
