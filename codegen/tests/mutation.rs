//! Nothing panics, whatever stands in the references: hundreds of damaged documents are either refused or become code
//! that parses.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use taskcluster_codegen::Generator;

/// A small generator of numbers that are always the same (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.roll(from.len())]
    }
}

/// Values that a document might not expect.
fn surprises() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("#"),
        json!("#/"),
        json!("self"),
        json!("r#type"),
        json!("\u{0}\u{202e}`[<{"),
        json!("a".repeat(300)),
        json!("/<a>/<a"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"$ref": "#"}),
        json!({"type": "object", "properties": {"x": {"$ref": "#"}}}),
        json!({"oneOf": [{"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}}]}),
        json!({"enum": ["", "-", "_", "1", "Unknown", "self"]}),
        json!({"allOf": [{"type": "string"}, {"type": "integer"}]}),
        json!({"type": ["string", "null"]}),
    ]
}

const KEYS: &[&str] = &[
    "$ref",
    "$id",
    "type",
    "properties",
    "required",
    "items",
    "oneOf",
    "anyOf",
    "allOf",
    "enum",
    "const",
    "not",
    "additionalProperties",
    "title",
    "format",
    "minimum",
    "name",
    "route",
    "args",
    "query",
    "input",
    "output",
    "scopes",
    "entries",
    "routingKey",
    "exchange",
    "self",
    "",
];

/// How many values there are in a document.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of a number, counted as [`count`] does.
fn nth(value: &mut Value, mut number: usize) -> Option<&mut Value> {
    if number == 0 {
        return Some(value);
    }
    number -= 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let size = count(child);
        if number < size {
            return nth(child, number);
        }
        number -= size;
    }
    None
}

/// Changes one thing somewhere.
fn damage(document: &mut Value, dice: &mut Dice) {
    let number = dice.roll(count(document));
    let other = {
        let other = dice.roll(count(document));
        nth(document, other).cloned().unwrap_or_default()
    };
    let surprises = surprises();
    let Some(place) = nth(document, number) else { return };
    match (dice.roll(6), place) {
        (0, place) => *place = dice.pick(&surprises).clone(),
        (1, place) => *place = other,
        (2, Value::Object(members)) => {
            let name = members.keys().nth(dice.roll(members.len())).cloned().unwrap_or_default();
            members.shift_remove(&name);
        }
        (3, Value::Object(members)) => {
            members.insert((*dice.pick(KEYS)).to_owned(), dice.pick(&surprises).clone());
        }
        (4, Value::Object(members)) => {
            let renamed: Map<String, Value> =
                std::mem::take(members).into_iter().map(|(_, value)| ((*dice.pick(KEYS)).to_owned(), value)).collect();
            *members = renamed;
        }
        (_, Value::Array(items)) if !items.is_empty() => {
            let twice = items[dice.roll(items.len())].clone();
            items.push(twice);
        }
        (_, Value::String(text)) => {
            let end = text.char_indices().nth(dice.roll(text.chars().count())).map_or(0, |(end, _)| end);
            text.truncate(end);
        }
        (_, place) => *place = dice.pick(&surprises).clone(),
    }
}

/// The documents of a folder, one file each.
fn documents(folder: &Path) -> Vec<(String, String)> {
    let mut documents = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                documents.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    documents.sort();
    documents
}

/// Generates, and parses what comes out.
fn try_all(documents: Vec<(String, String)>, what: &str) -> bool {
    match Generator::new().texts(documents).server("crate").generate_formatted() {
        Ok(output) => {
            assert!(output.files.iter().all(|file| !file.code.contains("Numbered")), "{what}");
            true
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains("does not parse"), "{what}: {message}");
            assert!(!message.is_empty());
            false
        }
    }
}

#[test]
fn damaged_documents_never_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut dice = Dice(0x5eed);
    let (mut accepted, mut refused) = (0, 0);
    let bundles = documents(&root);
    let bundles: Vec<&(String, String)> = bundles.iter().filter(|(_, text)| text.starts_with('[')).collect();
    for round in 0..400 {
        let (name, text) = bundles[round % bundles.len()];
        let mut document: Value = serde_json::from_str(text).unwrap();
        for _ in 0..=dice.roll(3) {
            damage(&mut document, &mut dice);
        }
        let what = format!("round {round} of {name}");
        if try_all(vec![(name.clone(), document.to_string())], &what) { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 50 && refused > 50, "the damage is of a useful size: {accepted} accepted, {refused} refused");
}

#[test]
fn damage_among_many_documents_never_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
    let mut dice = Dice(0xdeed);
    let (mut accepted, mut refused) = (0, 0);
    // What hooks and github refer to stands in these folders.
    let folders = ["github", "hooks", "object", "queue", "common"];
    let all: Vec<(String, String)> = folders.into_iter().flat_map(|service| documents(&root.join(service))).collect();
    for round in 0..60 {
        let mut documents = all.clone();
        let place = dice.roll(documents.len());
        let mut document: Value = serde_json::from_str(&documents[place].1).unwrap();
        damage(&mut document, &mut dice);
        documents[place].1 = document.to_string();
        if try_all(documents, &format!("round {round}")) { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 5 && refused > 5, "the damage is of a useful size: {accepted} accepted, {refused} refused");
}

#[test]
fn damaged_texts_never_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut dice = Dice(0xfeed);
    let bundles = documents(&root);
    for round in 0..200 {
        let (name, text) = &bundles[round % bundles.len()];
        let mut bytes = text.clone().into_bytes();
        match dice.roll(3) {
            0 => bytes.truncate(dice.roll(bytes.len())),
            1 => {
                let place = dice.roll(bytes.len());
                bytes[place] = u8::try_from(dice.roll(128)).unwrap();
            }
            _ => {
                let place = dice.roll(bytes.len());
                bytes.remove(place);
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        try_all(vec![(name.clone(), text)], &format!("round {round} of {name}"));
    }
}
