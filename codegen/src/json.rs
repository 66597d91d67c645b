//! JSON in which no object has a key twice. Parsers keep the last one and say nothing; what was meant, nobody knows.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Why a text is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not JSON.
    Syntax(serde_json::Error),
    /// The object at this pointer has a key twice.
    Twice {
        /// Points to the value behind the key.
        pointer: String,
    },
}

/// Reads a text.
pub(crate) fn read(text: &str) -> Result<Value, Refused> {
    let value = serde_json::from_str(text).map_err(Refused::Syntax)?;
    let twice = RefCell::new(None);
    let seen = Keys { place: &Place::Root, twice: &twice }.deserialize(&mut serde_json::Deserializer::from_str(text));
    match (seen, twice.into_inner()) {
        (_, Some(pointer)) => Err(Refused::Twice { pointer }),
        (Ok(()), None) => Ok(value),
        (Err(error), None) => Err(Refused::Syntax(error)),
    }
}

/// Where the reader is, as a list that ends at the root.
enum Place<'p> {
    Root,
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, usize),
}

/// The JSON pointer.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(outer, key) => write!(f, "{outer}/{}", key.replace('~', "~0").replace('/', "~1")),
            Self::Index(outer, index) => write!(f, "{outer}/{index}"),
        }
    }
}

/// Looks at the keys of all objects.
#[derive(Clone, Copy)]
struct Keys<'p> {
    place: &'p Place<'p>,
    /// Takes the pointer of a key that is there twice; serde's errors have no room for it.
    twice: &'p RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let place = Place::Index(self.place, index);
            if items.next_element_seed(Keys { place: &place, ..self })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            let place = Place::Key(self.place, &key);
            if keys.contains(&key) {
                *self.twice.borrow_mut() = Some(place.to_string());
                return Err(A::Error::custom("a key is there twice"));
            }
            members.next_value_seed(Keys { place: &place, ..self })?;
            keys.insert(key);
        }
        Ok(())
    }
}
