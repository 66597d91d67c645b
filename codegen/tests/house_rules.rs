//! What `api-references/README.md` asks of schemas.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a node of a schema breaks, each with the place, and the titles that it gives.
#[derive(Default)]
struct Findings {
    faults: Vec<String>,
    titles: BTreeMap<String, Vec<String>>,
}

fn references() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../api-references")
}

/// The folders of the services.
fn services() -> Vec<PathBuf> {
    let folders = fs::read_dir(references()).unwrap().map(|entry| entry.unwrap().path());
    let mut services: Vec<PathBuf> = folders.filter(|folder| folder.join("v1/api.json").is_file()).collect();
    services.sort();
    services
}

fn schemas(service: &Path) -> Vec<(String, Value)> {
    let files = fs::read_dir(service.join("v1/schemas")).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap())
        })
        .collect()
}

/// Whether a schema becomes a type with a name: an object, an enumeration, or a union in which there is one.
fn has_a_name(schema: &Value) -> bool {
    let branches = ["oneOf", "anyOf"].iter().filter_map(|union| schema[*union].as_array()).flatten();
    schema["properties"].is_object()
        || schema["enum"].as_array().is_some_and(|values| values.len() > 1)
        || branches.into_iter().any(|branch| branch["$ref"].is_string() || has_a_name(branch))
}

impl Findings {
    fn look(&mut self, schema: &Value, place: &str) {
        let Some(object) = schema.as_object() else { return };
        if schema["$ref"].is_string() {
            let besides = object.keys().filter(|key| !matches!(key.as_str(), "$ref" | "description" | "default"));
            self.faults.extend(besides.map(|key| format!("{place}: {key} beside $ref")));
            return;
        }
        match schema["title"].as_str() {
            Some(title) if has_a_name(schema) || place.ends_with('#') => {
                self.titles.entry(title.to_owned()).or_default().push(place.to_owned());
            }
            None if has_a_name(schema) || place.ends_with('#') => self.faults.push(format!("{place}: no title")),
            _ => {}
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}/properties/{name}");
            if property["$ref"].is_null() && property["description"].is_null() {
                self.faults.push(format!("{place}: no description"));
            }
            self.look(property, &place);
        }
        for key in ["items", "additionalProperties"] {
            self.look(&schema[key], &format!("{place}/{key}"));
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            for (index, branch) in schema[key].as_array().into_iter().flatten().enumerate() {
                self.look(branch, &format!("{place}/{key}/{index}"));
            }
        }
    }
}

#[test]
fn schemas_keep_to_the_house_rules() {
    let mut faults = Vec::new();
    for service in services() {
        let name = service.file_name().unwrap().to_str().unwrap();
        let mut findings = Findings::default();
        for (file, schema) in schemas(&service) {
            let id = format!("/schemas/{name}/v1/{file}.json#");
            if schema["$id"] != id.as_str() {
                faults.push(format!("{name}/{file}: $id is {}", schema["$id"]));
            }
            let title = schema["title"].as_str().unwrap_or_default();
            if title.to_lowercase().replace(' ', "-") != file {
                faults.push(format!("{name}/{file}: called {title:?}"));
            }
            findings.look(&schema, &id);
        }
        faults.append(&mut findings.faults);
        let twice = findings.titles.into_iter().filter(|(_, places)| places.len() > 1);
        faults.extend(twice.map(|(title, places)| format!("{title:?} is the title of {}", places.join(" and "))));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A file that nothing refers to is a type that nobody gets.
#[test]
fn every_schema_is_used() {
    let mut texts = String::new();
    let mut ids = Vec::new();
    for service in services() {
        let name = service.file_name().unwrap().to_str().unwrap().to_owned();
        for file in ["api.json", "exchanges.json"] {
            texts += &fs::read_to_string(service.join("v1").join(file)).unwrap_or_default();
        }
        for (file, schema) in schemas(&service) {
            texts += &schema.to_string().replace(&format!("/schemas/{name}/v1/{file}.json#"), "");
            ids.push(format!("{file}.json"));
        }
    }
    let unused: Vec<String> = ids.into_iter().filter(|file| !texts.contains(file.as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
