//! What a newer service adds to an object.

use std::fmt;

use serde_json::{Map, Value};

/// The properties of an object that its type has no field for, since a newer version of the service added them. They are
/// kept when the object is read, and written again with it, so that whoever reads, changes and sends an object back takes
/// nothing away from it.
///
/// Every generated struct has some, in a field called `unknown_fields`. They take the room of one pointer, and as long as
/// there are none nothing more. `Debug` shows their names and not their values, which may be secrets for all we know.
///
/// ```
/// use taskcluster_core::UnknownFields;
///
/// let mut unknown_fields = UnknownFields::new();
/// unknown_fields.insert("colour", "green");
/// assert_eq!(unknown_fields.get("colour").and_then(|value| value.as_str()), Some("green"));
/// assert_eq!(format!("{unknown_fields:?}"), r#"{"colour"}"#);
/// unknown_fields.remove("colour");
/// assert!(unknown_fields.is_empty());
/// ```
///
/// Numbers are what `serde_json` makes of them: integers of 64 bits, other numbers as `f64`.
#[derive(Clone, Default, PartialEq, Eq)]
// Never an empty map, so that equality need not look inside.
pub struct UnknownFields(Option<Box<Map<String, Value>>>);

impl UnknownFields {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.len())
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Sets one, to send what this version has no field for, and gives the value that it had. Where the type has a field
    /// of this name that field is written and not this one.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.get_or_insert_default().insert(name.into(), value.into())
    }

    /// Takes one away, and gives the value that it had.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let removed = self.0.as_mut()?.remove(name);
        self.0.take_if(|fields| fields.is_empty());
        removed
    }

    /// All of them with their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.as_ref().map(|fields| fields.iter()))
    }
}

impl fmt::Debug for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl<'a> IntoIterator for &'a UnknownFields {
    type Item = (&'a String, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The fields with their names, in the order in which `serde_json` keeps them.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Option<serde_json::map::Iter<'a>>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a String, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_take_the_room_of_a_pointer() {
        assert_eq!(size_of::<UnknownFields>(), size_of::<usize>());
    }

    #[test]
    fn what_was_taken_away_is_as_if_it_had_never_been_there() {
        let mut fields = UnknownFields::new();
        assert_eq!(fields.remove("a"), None);
        assert_eq!(fields.insert("a", 1), None);
        assert_eq!(fields.insert("a", 2), Some(Value::from(1)));
        assert_eq!((fields.len(), fields.is_empty()), (1, false));
        assert_ne!(fields, UnknownFields::new());
        assert_eq!(fields.remove("a"), Some(Value::from(2)));
        assert_eq!(fields, UnknownFields::new());
        assert_eq!(fields.iter().count(), 0);
    }
}
