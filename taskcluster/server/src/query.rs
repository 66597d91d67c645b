//! The query of a request: checked before a handler sees it.

use url::form_urlencoded;

use crate::arguments;

/// Most rows that one page may hold, and how many it holds when the caller does not say.
const MAX_LIMIT: u32 = 1000;

/// The query parameters that a request brought, without `bewit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryValues(Vec<(String, String)>);

impl QueryValues {
    /// Parses a raw query and holds it against the parameters that an operation knows.
    ///
    /// # Errors
    /// Everything that is wrong with it, one line each.
    pub(crate) fn parse(raw: &str, known: &[&str]) -> Result<Self, Vec<String>> {
        let mut values: Vec<(String, String)> = Vec::new();
        let mut faults = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            if name == "bewit" {
                continue;
            }
            if !known.contains(&&*name) {
                faults.push(format!("query parameter {name:?} is not known to this method"));
            } else if values.iter().any(|(other, _)| *other == name) {
                faults.push(format!("query parameter {name:?} is given more than once"));
            } else {
                let pattern = arguments::query_pattern(&name);
                if !(pattern.matches)(&value) {
                    faults.push(format!("query parameter {name:?} has the value {value:?}: expected {}", pattern.text));
                }
                values.push((name.into_owned(), value.into_owned()));
            }
        }
        if faults.is_empty() { Ok(Self(values)) } else { Err(faults) }
    }

    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// A parameter's value, owned; what the generated query structs are filled with.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A parameter that was checked to be a number, capped at 1000.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name).map(|digits| digits.parse().map_or(MAX_LIMIT, |number: u32| number.min(MAX_LIMIT)))
    }
}
