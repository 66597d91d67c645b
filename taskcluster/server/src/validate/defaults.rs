//! The defaults of a schema, written into a value.
//!
//! The checking library does not do that. A schema is walked once and turned into a plan that holds only the places
//! where something may have to be filled in. Alternatives (`oneOf`, `anyOf`) are not entered: which of them applies is
//! not known before the value has been checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// Where a value may lack something, and what belongs there.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    missing: Vec<(String, Value)>,
    properties: Vec<(String, Arc<Defaults>)>,
    /// For properties that the schema does not name, with the names of those that it does.
    others: Option<(Vec<String>, Arc<Defaults>)>,
    items: Option<Arc<Defaults>>,
    /// Further schemas that apply to the same value.
    also: Vec<Arc<Defaults>>,
}

impl Defaults {
    /// The plan of a schema, or nothing if it has no defaults.
    pub(crate) fn of(documents: &BTreeMap<String, Value>, id: &str) -> Option<Arc<Self>> {
        Planner { documents, open: Vec::new() }.follow("", id)
    }

    /// Fills in what is missing.
    pub(crate) fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (name, default) in &self.missing {
                    if !object.contains_key(name) {
                        object.insert(name.clone(), default.clone());
                    }
                }
                for (name, defaults) in &self.properties {
                    if let Some(value) = object.get_mut(name) {
                        defaults.fill(value);
                    }
                }
                if let Some((named, others)) = &self.others {
                    let unnamed = object.iter_mut().filter(|(name, _)| !named.contains(name));
                    unnamed.for_each(|(_, value)| others.fill(value));
                }
            }
            Value::Array(items) => {
                if let Some(defaults) = &self.items {
                    items.iter_mut().for_each(|item| defaults.fill(item));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        }
        self.also.iter().for_each(|defaults| defaults.fill(value));
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.properties.is_empty()
            && self.others.is_none()
            && self.items.is_none()
            && self.also.is_empty()
    }
}

/// A default of another type would only hide that something is missing: it cannot be right.
fn is_of_type(schema: &Value, default: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => default.is_object(),
        Some("array") => default.is_array(),
        _ => true,
    }
}

struct Planner<'d> {
    documents: &'d BTreeMap<String, Value>,
    /// References that are being followed: a schema that contains itself is not entered a second time.
    open: Vec<String>,
}

impl Planner<'_> {
    /// Plans the schema that a `$ref` in the document `base` leads to.
    fn follow(&mut self, base: &str, target: &str) -> Option<Arc<Defaults>> {
        let url = if base.is_empty() {
            url::Url::parse(target)
        } else {
            url::Url::parse(base).and_then(|url| url.join(target))
        };
        let (base, pointer) = place(url.ok()?);
        let name = format!("{base}#{pointer}");
        if self.open.contains(&name) {
            return None;
        }
        let documents = self.documents;
        let schema = documents.get(&base)?.pointer(&pointer)?;
        self.open.push(name);
        let plan = self.plan(&base, schema);
        self.open.pop();
        plan
    }

    fn plan(&mut self, base: &str, schema: &Value) -> Option<Arc<Defaults>> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.follow(base, target);
        }
        let mut plan = Defaults::default();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if let Some(default) = self.default_of(base, property).filter(|default| is_of_type(property, default)) {
                plan.missing.push((name.clone(), default.clone()));
            }
            if let Some(inner) = self.plan(base, property) {
                plan.properties.push((name.clone(), inner));
            }
        }
        let others = schema.get("additionalProperties").and_then(|schema| self.plan(base, schema));
        let named = || properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect();
        plan.others = others.map(|others| (named(), others));
        plan.items = schema.get("items").and_then(|schema| self.plan(base, schema));
        for schema in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            plan.also.extend(self.plan(base, schema));
        }
        (!plan.is_empty()).then(|| Arc::new(plan))
    }

    /// The default of a property, which may stand where its `$ref` leads.
    fn default_of<'a>(&'a self, base: &str, property: &'a Value) -> Option<&'a Value> {
        let mut base = base.to_owned();
        let mut schema = property;
        // Ends also where references go round in a circle.
        for _ in 0..32 {
            let Some(target) = schema.get("$ref").and_then(Value::as_str) else { break };
            let pointer;
            (base, pointer) = place(url::Url::parse(&base).and_then(|url| url.join(target)).ok()?);
            schema = self.documents.get(&base)?.pointer(&pointer)?;
        }
        schema.get("default")
    }
}

/// A reference in two parts: the document, and the pointer into it.
fn place(mut url: url::Url) -> (String, String) {
    let pointer =
        percent_encoding::percent_decode_str(url.fragment().unwrap_or_default()).decode_utf8_lossy().into_owned();
    url.set_fragment(None);
    (url.into(), pointer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_may_stand_where_a_reference_leads() {
        let documents = BTreeMap::from([
            (
                "https://tc/a.json".to_owned(),
                json!({"properties": {"one": {"$ref": "b.json#/properties/x"}, "two": {"$ref": "#/properties/two"}}}),
            ),
            ("https://tc/b.json".to_owned(), json!({"properties": {"x": {"type": "string", "default": "none"}}})),
        ]);
        let mut value = json!({});
        Defaults::of(&documents, "https://tc/a.json").unwrap().fill(&mut value);
        assert_eq!(value, json!({"one": "none"}));
    }
}
