//! What generated structs are read and written by; not part of the public interface.
//!
//! A struct keeps the properties that it has no field for. `#[serde(flatten)]` would do that, too, for a large part of the
//! time that this crate takes to compile: the field names of every struct become an enumeration with a visitor of its own.
//! Here a struct is a list of names and two functions, [`Object`]; all else is written once.

mod read;
mod write;

pub use read::{Name, Reading, deserialize};
pub use write::{debug, optional, others, serialize};

/// A struct that stands for a JSON object.
#[doc(hidden)]
pub trait Object: Sized {
    /// Its name in Rust, for messages.
    const NAME: &'static str;

    /// The names that it knows on the wire.
    const FIELDS: &'static [&'static str];

    /// Reads it, property by property.
    ///
    /// # Errors
    /// A property is there twice, is missing or is not what it should be.
    fn read<'de, D: serde::de::MapAccess<'de>>(object: Reading<D>) -> Result<Self, D::Error>;

    /// Writes its properties.
    ///
    /// # Errors
    /// What the serializer refuses.
    fn write<S: serde::ser::SerializeMap>(&self, object: &mut S) -> Result<(), S::Error>;
}

/// Makes serde read and write an [`Object`].
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_of_object {
    ($name:ident) => {
        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::wire::deserialize(deserializer)
            }
        }
        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::wire::serialize(self, serializer)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde::de::MapAccess;
    use serde::ser::SerializeMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::UnknownFields;

    /// As generated code has it.
    #[derive(Clone, PartialEq)]
    struct Thing {
        name: String,
        count: Option<u8>,
        unknown_fields: UnknownFields,
    }

    impl Object for Thing {
        const NAME: &'static str = "Thing";
        const FIELDS: &'static [&'static str] = &["name", "count"];

        fn read<'de, D: MapAccess<'de>>(mut object: Reading<D>) -> Result<Self, D::Error> {
            let mut name = None;
            let mut count = None;
            while let Some(field) = object.next()? {
                match field {
                    0 => name = Some(object.value()?),
                    1 => count = object.value()?,
                    _ => object.skip()?,
                }
            }
            Ok(Self { name: object.required(name, "name")?, count, unknown_fields: object.unknown_fields() })
        }

        fn write<S: SerializeMap>(&self, object: &mut S) -> Result<(), S::Error> {
            object.serialize_entry("name", &self.name)?;
            optional(object, "count", &self.count)?;
            others(object, &self.unknown_fields, Self::FIELDS)
        }
    }

    impl std::fmt::Debug for Thing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            debug(f, "Thing", &[("name", &self.name), ("count", &self.count)], &self.unknown_fields)
        }
    }

    crate::__serde_of_object!(Thing);

    fn read(text: &str) -> Result<Thing, String> {
        let from_text = serde_json::from_str(text).map_err(|error| error.to_string());
        if let Ok(value) = serde_json::from_str::<Value>(text)
            && let Ok(thing) = &from_text
        {
            assert_eq!(serde_json::from_value::<Thing>(value).ok().as_ref(), Some(thing));
        }
        from_text
    }

    fn written(thing: &Thing) -> String {
        serde_json::to_string(thing).unwrap()
    }

    #[test]
    fn properties_may_come_in_any_order_and_none_is_lost() {
        for text in [
            r#"{"name":"a","count":1,"later":{"x":[1]}}"#,
            r#"{"later":{"x":[1]},"count":1,"name":"a"}"#,
            r#"{"count":1,"later":{"x":[1]},"name":"a"}"#,
        ] {
            let thing = read(text).unwrap();
            assert_eq!(written(&thing), r#"{"name":"a","count":1,"later":{"x":[1]}}"#);
            assert_eq!(thing.unknown_fields.get("later"), Some(&json!({"x": [1]})));
        }
    }

    #[test]
    fn what_is_absent_stays_absent() {
        let thing = read(r#"{"name":"a"}"#).unwrap();
        assert_eq!(written(&thing), r#"{"name":"a"}"#);
        assert_eq!(read(r#"{"name":"a","count":null}"#).unwrap(), thing);
    }

    #[test]
    fn a_property_that_is_there_twice_is_refused_known_or_not() {
        for (text, name) in [
            (r#"{"name":"a","name":"a"}"#, "name"),
            (r#"{"name":"a","count":null,"count":1}"#, "count"),
            (r#"{"name":"a","later":1,"later":2}"#, "later"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with(&format!("duplicate field `{name}`")), "{message}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = read(r#"{"count":1}"#).unwrap_err();
        assert!(message.starts_with("missing field `name`"), "{message}");
        let message = read("[]").unwrap_err();
        assert!(message.contains("expected struct Thing"), "{message}");
    }

    #[test]
    fn a_known_name_among_the_unknown_is_not_written_twice() {
        let mut thing = read(r#"{"name":"a"}"#).unwrap();
        thing.unknown_fields.insert("name", "b");
        thing.unknown_fields.insert("colour", "green");
        assert_eq!(written(&thing), r#"{"name":"a","colour":"green"}"#);
    }

    #[test]
    fn debug_shows_the_names_of_unknown_fields_if_there_are_any() {
        let thing = read(r#"{"name":"a"}"#).unwrap();
        assert_eq!(format!("{thing:?}"), r#"Thing { name: "a", count: None }"#);
        let thing = read(r#"{"name":"a","token":"hunter2"}"#).unwrap();
        assert_eq!(format!("{thing:?}"), r#"Thing { name: "a", count: None, unknown_fields: {"token"} }"#);
    }
}
