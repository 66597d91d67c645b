//! Writing an object.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Object;
use crate::UnknownFields;

/// Writes an object.
///
/// # Errors
/// What the serializer refuses.
pub fn serialize<T: Object, S: Serializer>(object: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    object.write(&mut map)?;
    map.end()
}

/// Writes a property if it is there.
///
/// # Errors
/// What the serializer refuses.
pub fn optional<S: SerializeMap, T: Serialize>(
    object: &mut S,
    name: &'static str,
    value: &Option<T>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => object.serialize_entry(name, value),
        None => Ok(()),
    }
}

/// Writes properties that are not among those that are known.
///
/// # Errors
/// What the serializer refuses.
pub fn others<'a, S: SerializeMap, T: Serialize + 'a>(
    object: &mut S,
    others: impl IntoIterator<Item = (&'a String, &'a T)>,
    known: &[&str],
) -> Result<(), S::Error> {
    let mut others = others.into_iter().filter(|(name, _)| !known.contains(&name.as_str()));
    others.try_for_each(|(name, value)| object.serialize_entry(name, value))
}

/// What a derived `Debug` shows, with the unknown fields only if there are any.
///
/// # Errors
/// What the formatter refuses.
pub fn debug(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    fields: &[(&str, &dyn fmt::Debug)],
    unknown: &UnknownFields,
) -> fmt::Result {
    let mut shown = f.debug_struct(name);
    for (name, value) in fields {
        shown.field(name, value);
    }
    if !unknown.is_empty() {
        shown.field("unknown_fields", unknown);
    }
    shown.finish()
}
