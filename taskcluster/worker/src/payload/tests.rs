use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;

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
    let conflict =
        PayloadSchema::compose([("engine", PayloadPart::of::<Commands>()), ("shell", PayloadPart::of::<Commands>())])
            .unwrap_err();
    assert_eq!(conflict.property, "/command");
    assert_eq!(conflict.second, "shell");
}

/// As a worker's author would write it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[allow(dead_code, reason = "only the schema is looked at")]
enum Step {
    Say(String),
    Write { path: String, text: String },
    Rest,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Steps {
    steps: Vec<Step>,
}

#[test]
fn what_is_no_alternative_is_told_their_names() {
    let schema = PayloadSchema::compose([("steps", PayloadPart::of::<Steps>())]).unwrap();
    let fault = |step: Value| schema.validate(&object(json!({"steps": [step]}))).unwrap_err().to_string();
    for unknown in [json!({"jump": 1}), json!({})] {
        assert!(fault(unknown).contains("payload/steps/0: it has none of say, write"), "{}", fault(json!({})));
    }
    // Where it is clear which one was meant, what that one lacks.
    let half = fault(json!({"write": {"path": "a"}}));
    assert!(
        half.contains("payload/steps/0/write: \"text\" is a required property") && !half.contains("none of"),
        "{half}"
    );
    schema.validate(&object(json!({"steps": ["rest", {"say": "x"}]}))).unwrap();
}

#[test]
fn a_word_that_is_none_is_told_all_that_there_are() {
    let part = PayloadPart::from_schema(json!({
        "properties": {"artifact": {"oneOf": [
            {"type": "object", "required": ["type"], "properties": {"type": {"const": "file"}, "path": {"type": "string"}}},
            {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["directory", "volume"]}}},
        ]}, "format": {"enum": ["a", "b", "c", "d", "e", "f"]}},
    }));
    let schema = PayloadSchema::compose([("any", part.unwrap())]).unwrap();
    let fault = |payload: Value| schema.validate(&object(payload)).unwrap_err().to_string();
    let wrong = fault(json!({"artifact": {"type": "dir"}}));
    assert_eq!(wrong, r#"payload/artifact/type: "dir" is none of "file", "directory", "volume""#);
    let wrong = fault(json!({"format": "z"}));
    assert_eq!(wrong, r#"payload/format: "z" is none of "a", "b", "c", "d", "e", "f""#);
    assert!(fault(json!({"artifact": {"type": "file", "path": 1}})).contains("/artifact/path: 1 is not of type"));
}
