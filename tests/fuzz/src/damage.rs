//! Damages JSON as what it is, so that inputs get past the parser.

use serde_json::{Map, Value, json};

/// A small generator of numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or(0)
    }
}

/// The text with some things changed; `None` if it is not JSON.
#[must_use]
pub fn damage_json(text: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(text).ok()?;
    let mut dice = Dice(u64::from(seed) << 8 | 1);
    dice.roll(1);
    for _ in 0..=dice.roll(3) {
        damage(&mut document, &mut dice);
    }
    serde_json::to_vec(&document).ok()
}

fn damage(document: &mut Value, dice: &mut Dice) {
    let size = count(document);
    let elsewhere = dice.roll(size);
    let other = nth(document, elsewhere).cloned().unwrap_or_default();
    let keys = keys(document);
    let key = keys.get(dice.roll(keys.len())).cloned().unwrap_or_default();
    let chosen = dice.roll(size);
    let Some(place) = nth(document, chosen) else { return };
    match (dice.roll(8), place) {
        (0, place) => *place = surprise(dice),
        (1, place) => *place = other,
        (2, Value::Object(members)) => {
            let name = members.keys().nth(dice.roll(members.len())).cloned().unwrap_or_default();
            members.remove(&name);
        }
        (3, Value::Object(members)) => {
            members.insert(key, other);
        }
        (4, Value::Object(members)) => {
            let taken: Vec<(String, Value)> = std::mem::take(members).into_iter().collect();
            let renamed = dice.roll(taken.len());
            *members = taken
                .into_iter()
                .enumerate()
                .map(|(index, (name, value))| (if index == renamed { key.clone() } else { name }, value))
                .collect::<Map<_, _>>();
        }
        (2 | 5, Value::Array(items)) if !items.is_empty() => {
            items.remove(dice.roll(items.len()));
        }
        (3 | 4 | 6, Value::Array(items)) => items.push(other),
        (7, place) => *place = json!([place.take()]),
        (6, place) => *place = json!({ key: place.take() }),
        (2 | 5, Value::String(text)) => {
            let end = text.char_indices().nth(dice.roll(text.chars().count())).map_or(0, |(end, _)| end);
            text.truncate(end);
        }
        (3 | 4, Value::String(text)) => text.push_str(&key),
        (_, place) => *place = surprise(dice),
    }
}

fn surprise(dice: &mut Dice) -> Value {
    let surprises = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1.5),
        json!(u64::MAX),
        json!(""),
        json!("*"),
        json!("self"),
        json!("r#type"),
        json!("/<a>/<a"),
        json!("#"),
        json!("#/definitions/a"),
        json!([]),
        json!({}),
        json!({ "$ref": "#" }),
        json!({ "type": ["string", "null"] }),
        json!({ "type": "object", "properties": { "x": { "$ref": "#" } } }),
        json!({ "oneOf": [{ "$ref": "#" }, { "type": "array", "items": { "$ref": "#" } }] }),
        json!({ "enum": ["", "-", "1", "Unknown", "self"] }),
        json!({ "allOf": [{ "type": "string" }, { "type": "integer" }] }),
        json!({ "AllOf": ["a", { "AnyOf": ["b*", "c"] }] }),
        json!({ "AnyOf": [] }),
    ];
    surprises[dice.roll(surprises.len())].clone()
}

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

/// All keys of all objects, which are the words of the dialect at hand.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        Value::Object(members) => members.keys().cloned().chain(members.values().flat_map(keys)).collect(),
        _ => Vec::new(),
    }
}
