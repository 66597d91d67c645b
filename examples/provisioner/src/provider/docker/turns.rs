//! Who is at work on what: one at a time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The names of what somebody is at work on.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashSet<String>>);

/// The turn of somebody, as long as it lives.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
}

impl Turns {
    /// A turn; `None` while somebody else has it.
    pub(super) fn take(&self, name: &str) -> Option<Turn<'_>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(name.to_owned()).then(|| Turn { turns: self, name: name.to_owned() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_one_at_a_time() {
        let turns = Turns::default();
        let turn = turns.take("a").unwrap();
        assert!(turns.take("a").is_none());
        assert!(turns.take("b").is_some());
        drop(turn);
        assert!(turns.take("a").is_some());
    }
}
