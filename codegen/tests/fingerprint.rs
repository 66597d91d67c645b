//! References that are pinned, and changed.

use serde_json::{Value, json};
use taskcluster_codegen::Generator;

fn api(description: &str) -> Value {
    json!({
        "$schema": "/schemas/common/api-reference-v0.json#", "apiVersion": "v1", "serviceName": "tiny", "title": "Tiny",
        "description": description, "entries": [{
            "type": "function", "name": "look", "title": "Look", "description": "Looks.", "method": "get",
            "route": "/look", "args": [], "query": [], "stability": "stable", "category": "Tiny",
            "output": "v1/seen.json#",
        }],
    })
}

fn seen() -> Value {
    json!({ "$id": "/schemas/tiny/v1/seen.json#", "type": "object", "properties": {}, "additionalProperties": false })
}

fn generator(texts: [(&str, String); 2]) -> Generator {
    Generator::new().texts(texts)
}

#[test]
fn what_counts_is_what_the_references_say() {
    let usual = generator([("a.json", api("Is small.").to_string()), ("b.json", seen().to_string())]);
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let elsewhere = generator([("x/seen.json", pretty(&seen())), ("api.json", pretty(&api("Is small.")))]);
    let fingerprint = usual.fingerprint().unwrap();
    assert!(fingerprint.starts_with("sha256-") && fingerprint.len() == 71, "{fingerprint}");
    assert_eq!(elsewhere.fingerprint().unwrap(), fingerprint);

    let code = |generator: Generator| generator.pinned(&fingerprint).generate().map(|output| output.files.len());
    assert_eq!(code(usual).unwrap(), 1);
    assert_eq!(code(elsewhere).unwrap(), 1);
    let changed = generator([("a.json", api("Is large.").to_string()), ("b.json", seen().to_string())]);
    let now = changed.fingerprint().unwrap();
    let refused = code(changed).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!("pinned: the references are {now}, not {fingerprint}: look at what has changed, then pin these")
    );
}
