//! Parts of a payload's schema become one, property by property.

use serde_json::{Map, Value, json};

use super::PayloadConflict;

/// Merge `part` into `whole`, both object schemas.
pub(super) fn merge(
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

/// Whether it is an object whose properties are declared.
pub(super) fn is_struct(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties")
}
