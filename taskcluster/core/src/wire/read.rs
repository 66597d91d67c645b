//! Reading an object.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::Object;
use crate::UnknownFields;

/// Reads an object.
///
/// # Errors
/// It is none, or does not fit.
pub fn deserialize<'de, T: Object, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_struct(T::NAME, T::FIELDS, Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "struct {}", T::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read(Reading { map, names: T::FIELDS, next: 0, seen: Seen::default(), unknown: UnknownFields::new() })
    }
}

/// An object that is being read.
#[derive(Debug)]
pub struct Reading<D> {
    map: D,
    names: &'static [&'static str],
    /// Which field most likely comes next: they are written in their order.
    next: usize,
    seen: Seen,
    unknown: UnknownFields,
}

/// The name of a property.
#[derive(Debug)]
pub enum Name {
    /// One of those that are known, by its place among them.
    Known(usize),
    /// Any other.
    Other(String),
}

impl<'de, D: MapAccess<'de>> Reading<D> {
    /// The place of the next property that is known; others are put aside.
    ///
    /// # Errors
    /// A property is there twice, or what the deserializer finds wrong.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not lend itself for the value")]
    pub fn next(&mut self) -> Result<Option<usize>, D::Error> {
        let mut other = String::new();
        loop {
            match self.place(&mut other)? {
                Some(OTHER) => self.keep(std::mem::take(&mut other))?,
                place => return Ok(place),
            }
        }
    }

    /// The name of the next property.
    ///
    /// # Errors
    /// A known property is there twice, or what the deserializer finds wrong.
    pub fn name(&mut self) -> Result<Option<Name>, D::Error> {
        let mut other = String::new();
        Ok(match self.place(&mut other)? {
            Some(OTHER) => Some(Name::Other(other)),
            Some(place) => Some(Name::Known(place)),
            None => None,
        })
    }

    /// The place of the next property, or that it is an other one.
    #[inline]
    fn place(&mut self, other: &mut String) -> Result<Option<usize>, D::Error> {
        let place = self.map.next_key_seed(Lookup { names: self.names, next: self.next, other })?;
        if let Some(place) = place
            && place != OTHER
        {
            if !self.seen.insert(place) {
                return Err(Error::duplicate_field(self.names[place]));
            }
            self.next = place + 1;
        }
        Ok(place)
    }

    /// The value of the property whose name came last.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn value<T: Deserialize<'de>>(&mut self) -> Result<T, D::Error> {
        self.map.next_value()
    }

    /// Passes over that value.
    ///
    /// # Errors
    /// What the deserializer finds wrong.
    pub fn skip(&mut self) -> Result<(), D::Error> {
        self.map.next_value::<IgnoredAny>().map(drop)
    }

    /// What a field that is always there was found to be.
    ///
    /// # Errors
    /// It was not there.
    pub fn required<T>(&self, found: Option<T>, name: &'static str) -> Result<T, D::Error> {
        found.ok_or_else(|| Error::missing_field(name))
    }

    /// What was put aside.
    pub fn unknown_fields(&mut self) -> UnknownFields {
        std::mem::take(&mut self.unknown)
    }

    #[cold]
    fn keep(&mut self, name: String) -> Result<(), D::Error> {
        if self.unknown.get(&name).is_some() {
            // As for a known one: which of the two counts is not for everybody to decide.
            return Err(Error::custom(format_args!("duplicate field `{name}`")));
        }
        let value: Value = self.map.next_value()?;
        self.unknown.insert(name, value);
        Ok(())
    }
}

/// Which fields were there.
#[derive(Debug, Default)]
struct Seen {
    first: u64,
    others: Vec<usize>,
}

impl Seen {
    /// Whether it was not there before.
    #[inline]
    fn insert(&mut self, place: usize) -> bool {
        if place >= 64 {
            return self.insert_other(place);
        }
        let bit = 1 << place;
        let is_new = self.first & bit == 0;
        self.first |= bit;
        is_new
    }

    #[cold]
    fn insert_other(&mut self, place: usize) -> bool {
        let is_new = !self.others.contains(&place);
        self.others.push(place);
        is_new
    }
}

/// In place of a place: the name is an other one.
const OTHER: usize = usize::MAX;

/// Looks a name up among the known ones, the likeliest first.
struct Lookup<'r> {
    names: &'static [&'static str],
    next: usize,
    /// For a name that is not among them.
    other: &'r mut String,
}

impl Lookup<'_> {
    #[inline]
    fn find(&self, name: &str) -> Option<usize> {
        if self.names.get(self.next).is_some_and(|known| *known == name) {
            return Some(self.next);
        }
        self.search(name)
    }

    /// From the likeliest on, and then from the beginning.
    fn search(&self, name: &str) -> Option<usize> {
        let (passed, ahead) = self.names.split_at(self.next);
        let is_it = |known: &&str| *known == name;
        let found = ahead.iter().position(is_it).map(|place| self.next + place);
        found.or_else(|| passed.iter().position(is_it))
    }
}

impl<'de> DeserializeSeed<'de> for Lookup<'_> {
    type Value = usize;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Lookup<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        Ok(self.find(name).unwrap_or_else(|| {
            self.other.push_str(name);
            OTHER
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_fields_is_told_apart() {
        let mut seen = Seen::default();
        assert!((0..300).all(|place| seen.insert(place)));
        assert!((0..300).all(|place| !seen.insert(place)));
    }

    #[test]
    fn a_name_is_found_wherever_one_begins_to_look() {
        let names: &[&str] = &["a", "b", "c"];
        for next in 0..=3 {
            let lookup = Lookup { names, next, other: &mut String::new() };
            assert_eq!(["a", "b", "c", "d"].map(|name| lookup.find(name)), [Some(0), Some(1), Some(2), None]);
        }
    }
}
