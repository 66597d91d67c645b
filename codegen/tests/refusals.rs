//! References that make no sense are refused, with the file and the place in it.

use taskcluster_codegen::Generator;

/// A reference of one service whose entries are these.
fn api(entries: &str) -> (String, String) {
    let text = format!(r#"{{"serviceName": "fixture", "apiVersion": "v1", "entries": [{entries}]}}"#);
    ("api.json".to_owned(), text)
}

/// A method that takes the schema `a`.
fn takes_a() -> (String, String) {
    api(r#"{"type": "function", "name": "get", "method": "get", "route": "/", "args": [], "output": "v1/a.json#"}"#)
}

fn schema(name: &str, rest: &str) -> (String, String) {
    (format!("{name}.json"), format!(r#"{{"$id": "/schemas/fixture/v1/{name}.json#", {rest}}}"#))
}

fn method(rest: &str) -> (String, String) {
    api(&format!(r#"{{"type": "function", "name": "get", "method": "get", {rest}}}"#))
}

/// Asserts that the documents are refused with exactly this place and something about this.
fn refuses(documents: Vec<(String, String)>, place: &str, about: &str) {
    let message = match Generator::new().texts(documents).server("crate").generate() {
        Ok(_) => panic!("{place} {about}: accepted"),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with(&format!("{place}: ")), "{message:?} is not about {place:?}");
    assert!(message.contains(about), "{message:?} says nothing of {about:?}");
}

/// Asserts that a schema is refused.
fn refuses_schema(rest: &str, pointer: &str, about: &str) {
    refuses(vec![takes_a(), schema("a", rest)], &format!("a.json#{pointer}"), about);
}

#[test]
fn what_is_not_json() {
    refuses(vec![("x.json".to_owned(), "{".to_owned())], "x.json", "not JSON");
}

#[test]
fn a_key_that_is_there_twice() {
    refuses(
        vec![api(r#"{"name": "a", "method": "get", "route": "/", "name": "b"}"#)],
        "api.json#/entries/0/name",
        "twice",
    );
    refuses_schema(r#""properties": {"x/y": {"type": "string"}, "x/y": {}}"#, "/properties/x~1y", "twice");
    refuses_schema(r#""enum": [{"a": 1, "a": 1}]"#, "/enum/0/a", "twice");
    // Also where it would be read as nothing else than the file.
    let bundle = r#"[{"filename": "a.json", "content": {"serviceName": "x", "entries": [], "entries": []}}]"#;
    refuses(vec![("all.json".to_owned(), bundle.to_owned())], "all.json#/0/content/entries", "twice");
    // Each object has its own keys.
    let rest = r#""properties": {"a": {"type": "string"}, "b": {"type": "string"}}"#;
    assert!(Generator::new().texts([takes_a(), schema("a", rest)]).generate().is_ok());
}

#[test]
fn references_that_lead_nowhere() {
    refuses(vec![takes_a()], "api.json#/entries/0/output", "/schemas/fixture/v1/a.json");
    refuses_schema(r#""properties": {"x": {"$ref": "b.json#"}}"#, "/properties/x/$ref", "/schemas/fixture/v1/b.json");
    refuses_schema(r##""properties": {"x": {"$ref": "#/definitions/y"}}"##, "/properties/x/$ref", "/definitions/y");
    refuses_schema(r##""properties": {"x": {"$ref": "#y"}}"##, "/properties/x/$ref", "#y");
}

#[test]
fn what_is_required_and_forbidden_at_once() {
    let rest = r#""type": "object", "properties": {"n": {}}, "required": ["n", "m"]"#;
    refuses_schema(&format!(r#"{rest}, "additionalProperties": false"#), "/required", "\"m\" is required");
    let open = Generator::new().texts(vec![takes_a(), schema("a", rest)]).server("crate").generate();
    assert!(open.is_ok(), "{open:?}");
}

#[test]
fn references_in_a_circle() {
    let circle = [schema("a", r#""$ref": "b.json#""#), schema("b", r#""$ref": "a.json#""#)];
    refuses([vec![takes_a()], circle.to_vec()].concat(), "a.json#", "circle");
    refuses_schema(r##""allOf": [{"$ref": "#"}, {"type": "object"}]"##, "", "circle");
    refuses_schema(r##""oneOf": [{"$ref": "#"}, {"type": "null"}]"##, "", "itself");
    refuses_schema(r##""oneOf": [{"$ref": "#"}, {"type": "string"}, {"type": "boolean"}]"##, "", "its own branches");
}

#[test]
fn two_schemas_of_one_id() {
    let twins = [schema("a", r#""type": "string""#), ("twin.json".to_owned(), schema("a", r#""type": "object""#).1)];
    refuses([vec![takes_a()], twins.to_vec()].concat(), "twin.json#/$id", "a.json");
}

#[test]
fn two_methods_of_one_name() {
    let entries = r#"{"name": "doThis", "method": "get", "route": "/a", "args": []},
        {"name": "do_this", "method": "get", "route": "/b", "args": []}"#;
    refuses(vec![api(entries)], "api.json#/entries/1/name", "do_this");
    let exchange =
        |name: &str| format!(r#"{{"name": "{name}", "exchange": "x", "routingKey": [], "schema": "v1/a.json#"}}"#);
    let text = format!(
        r#"{{"serviceName": "fixture", "exchangePrefix": "e/", "entries": [{}, {}]}}"#,
        exchange("taskDone"),
        exchange("task-done")
    );
    let documents = vec![("e.json".to_owned(), text), schema("a", r#""type": "string""#)];
    refuses(documents, "e.json#/entries/1/name", "TaskDone");
}

#[test]
fn two_references_of_one_service() {
    let (_, text) = takes_a();
    refuses(vec![takes_a(), ("again.json".to_owned(), text)], "again.json#", "second reference of fixture v1");
}

#[test]
fn two_services_of_one_module() {
    let service = |name: &str| (format!("{name}.json"), format!(r#"{{"serviceName": "{name}", "entries": []}}"#));
    refuses(vec![service("a-b"), service("aB")], "aB.json#", "one module");
}

#[test]
fn routes_and_arguments_that_disagree() {
    refuses(vec![method(r#""route": "/x/<id>", "args": []"#)], "api.json#/entries/0/route", "\"id\"");
    refuses(vec![method(r#""route": "/x", "args": ["id"]"#)], "api.json#/entries/0/args", "\"id\"");
    refuses(vec![method(r#""route": "/<id>/<id>", "args": ["id"]"#)], "api.json#/entries/0/route", "twice");
    refuses(vec![method(r#""route": "/<id", "args": ["id"]"#)], "api.json#/entries/0/route", "does not end");
    refuses(vec![method(r#""route": "x", "args": []"#)], "api.json#/entries/0/route", "slash");
    refuses(vec![method(r#""route": "/", "query": ["a", "a"]"#)], "api.json#/entries/0/query", "twice");
}

#[test]
fn parts_of_a_reference_that_are_missing_or_of_another_kind() {
    refuses(vec![api(r#"{"method": "get", "route": "/"}"#)], "api.json#/entries/0", "\"name\" is missing");
    refuses(vec![api(r#"{"name": "…", "method": "get", "route": "/"}"#)], "api.json#/entries/0/name", "letter");
    refuses(vec![api(r#"{"name": "a", "method": "brew", "route": "/"}"#)], "api.json#/entries/0/method", "brew");
    refuses(vec![api("7")], "api.json#/entries/0", "object");
    refuses(vec![method(r#""route": 3"#)], "api.json#/entries/0/route", "string");
    refuses(vec![method(r#""route": "/", "input": 3"#)], "api.json#/entries/0/input", "string");
    refuses(vec![method(r#""route": "/", "stability": "wobbly""#)], "api.json#/entries/0/stability", "wobbly");
    refuses(vec![method(r#""route": "/", "scopes": {"NoneOf": []}"#)], "api.json#/entries/0/scopes", "operator");
    refuses(
        vec![method(r#""route": "/", "scopes": {"AllOf": ["a", 1]}"#)],
        "api.json#/entries/0/scopes/AllOf/1",
        "scope expression",
    );
    let text = r#"{"exchangePrefix": "", "entries": []}"#.to_owned();
    refuses(vec![("e.json".to_owned(), text)], "e.json#", "serviceName");
}

#[test]
fn keywords_that_are_not_known() {
    refuses_schema(r#""patternProperties": {}"#, "/patternProperties", "patternProperties");
    refuses_schema(r#""properties": {"x": {"if": {}}}"#, "/properties/x/if", "\"if\"");
    refuses_schema(r#""items": [{}], "type": "array""#, "/items", "per place");
    refuses_schema(r#""type": "file""#, "/type", "file");
    refuses_schema(r#""properties": {"a/b": {"$id": "x"}}"#, "/properties/a~1b/$id", "id");
}

#[test]
fn keywords_of_another_kind() {
    refuses_schema(r#""type": 3"#, "/type", "string");
    refuses_schema(r#""enum": []"#, "/enum", "nothing");
    refuses_schema(r#""oneOf": []"#, "/oneOf", "nothing");
    refuses_schema(r#""required": "x""#, "/required", "list");
    refuses_schema(r#""properties": []"#, "/properties", "object");
    refuses_schema(r#""properties": {"x": 3}"#, "/properties/x", "a schema is an object");
    refuses_schema(r#""minimum": "x""#, "/minimum", "number");
    refuses_schema(r#""additionalProperties": 3"#, "/additionalProperties", "schema");
    refuses_schema(r#""oneOf": [{}], "anyOf": [{}]"#, "", "two unions");
    refuses_schema(r#""allOf": [{"type": "string"}, {"type": "object"}]"#, "", "different types");
}

#[test]
fn schemas_without_a_bottom() {
    for inside in [
        r#""type": "array", "items": {"$ref": "NEXT"}"#,
        r#""type": "object", "properties": {"x": {"$ref": "NEXT"}}"#,
        r#""oneOf": [{"type": "string"}, {"$ref": "NEXT"}]"#,
        r#""oneOf": [{"type": "object", "properties": {"x": {"allOf": [{"$ref": "NEXT"}, {"title": "X"}]}}}, {"type": "null"}]"#,
        r#""allOf": [{"$ref": "NEXT"}, {"type": "object"}]"#,
        r#""$ref": "NEXT""#,
    ] {
        let chain = (0..200)
            .map(|number| schema(&format!("s{number}"), &inside.replace("NEXT", &format!("s{}.json#", number + 1))));
        let first = schema("a", r#""$ref": "s0.json#""#);
        let documents: Vec<_> = [takes_a(), first].into_iter().chain(chain).collect();
        let error = Generator::new().texts(documents).generate().unwrap_err().to_string();
        assert!(error.contains("nested too deeply"), "{inside}: {error}");
    }
}

#[test]
fn many_ways_to_one_schema_take_no_time() {
    for inside in [
        r#""allOf": [{"$ref": "NEXT"}, {"$ref": "NEXT"}]"#,
        r#""oneOf": [{"$ref": "NEXT"}, {"$ref": "NEXT"}, {"type": "null"}]"#,
        r#""allOf": [{"$ref": "NEXT"}, {"$ref": "NEXT"}], "oneOf": [{"required": ["x"]}, {"required": ["y"]}]"#,
        r#""oneOf": [{"allOf": [{"$ref": "NEXT"}, {"title": "A"}]}, {"allOf": [{"$ref": "NEXT"}, {"title": "B"}]}]"#,
        r#""type": "object", "properties": {"x": {"$ref": "NEXT"}, "y": {"type": "array", "items": {"$ref": "NEXT"}}}"#,
    ] {
        let chain = (0..40).map(|n| schema(&format!("s{n}"), &inside.replace("NEXT", &format!("s{}.json#", n + 1))));
        let ends =
            [takes_a(), schema("a", r#""$ref": "s0.json#""#), schema("s40", r#""type": "object", "title": "Last""#)];
        let documents: Vec<_> = ends.into_iter().chain(chain).collect();
        // Whatever comes of it, it comes at once: 40 steps and not 2 to the power of 40.
        let _ = Generator::new().texts(documents).generate();
    }
}

#[test]
fn services_that_do_not_exist() {
    let documents = vec![takes_a(), schema("a", r#""type": "string""#)];
    let error = Generator::new().texts(documents).services(["queue"]).generate().unwrap_err();
    assert_eq!(error.to_string(), r#"there is no service "queue" in the references, only fixture"#);
}

#[test]
fn references_of_no_service() {
    for documents in [vec![], vec![schema("a", r#""type": "string""#)]] {
        let error = Generator::new().texts(documents).generate().unwrap_err().to_string();
        assert!(error.contains("there is no reference of a service"), "{error}");
    }
}

#[test]
fn settings_that_are_no_paths() {
    let documents = vec![takes_a(), schema("a", r#""type": "string""#)];
    let error = Generator::new().texts(documents).runtime_path("not a path").generate().unwrap_err();
    assert!(error.to_string().starts_with("runtime_path: "), "{error}");
}
