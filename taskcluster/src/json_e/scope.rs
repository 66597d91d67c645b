use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The names that expressions may use, the inner ones before the outer ones.
#[derive(Debug)]
pub(super) struct Scope<'p> {
    names: BTreeMap<String, Value>,
    outer: Option<&'p Scope<'p>>,
}

impl<'p> Scope<'p> {
    pub(super) fn root(names: Map<String, Value>) -> Self {
        Self { names: names.into_iter().collect(), outer: None }
    }

    /// A scope inside of this one, without names of its own yet.
    pub(super) fn inner(&'p self) -> Self {
        Self { names: BTreeMap::new(), outer: Some(self) }
    }

    pub(super) fn insert(&mut self, name: &str, value: Value) {
        self.names.insert(name.to_owned(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.names.get(name) {
                return Some(value);
            }
            scope = here.outer;
        }
        None
    }
}
