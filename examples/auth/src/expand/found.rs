//! What one expansion has found so far, and when that is enough.
//!
//! Roles that each name the next one twice, with another text, are worth twice as much at each step: a few dozen of
//! them would fill any memory. So an expansion ends at a size that no honest set of roles comes near.

use std::collections::HashSet;

use taskcluster_core::scopes::ScopeSet;

/// How many scopes roles may add in one expansion.
pub(crate) const MAX_SCOPES: usize = 100_000;

/// The bytes of these scopes together.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// What may be looked at on the way, in bytes: much of it may turn out to be known already.
const MAX_WORK: usize = 256 << 20;

/// What looking at any scope costs besides its bytes.
const LOOK: usize = 64;

/// Scopes that roles add.
#[derive(Debug)]
pub(super) struct Worth {
    pub(super) scopes: ScopeSet,
    /// Whether these are all: nothing was left out for the sake of a limit.
    pub(super) complete: bool,
    work: usize,
}

impl Worth {
    /// What keeping this takes, about.
    pub(super) fn bytes(&self) -> usize {
        super::bytes(self.scopes.as_slice())
    }
}

/// A growing set of scopes with limits.
#[derive(Debug, Default)]
pub(super) struct Found {
    scopes: HashSet<String>,
    bytes: usize,
    work: usize,
    full: bool,
}

impl Found {
    /// Whether a limit was met. Nothing is added any more.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Accounts for looking at this many bytes; whether that was still allowed.
    pub(super) fn look(&mut self, bytes: usize) -> bool {
        self.spend(bytes.saturating_add(LOOK))
    }

    /// Adds a scope; whether it is new and there was room for it.
    pub(super) fn add(&mut self, scope: &str) -> bool {
        if self.full || self.scopes.contains(scope) {
            return false;
        }
        if self.scopes.len() == MAX_SCOPES || self.bytes + scope.len() > MAX_BYTES {
            self.full = true;
            return false;
        }
        self.bytes += scope.len();
        self.scopes.insert(scope.to_owned())
    }

    /// Adds all that another expansion has found, at the price of finding it.
    pub(super) fn add_all(&mut self, worth: &Worth) {
        if self.spend(worth.work) {
            worth.scopes.iter().for_each(|scope| {
                self.add(scope);
            });
            self.full |= !worth.complete;
        }
    }

    fn spend(&mut self, work: usize) -> bool {
        self.work = self.work.saturating_add(work);
        self.full |= self.work > MAX_WORK;
        !self.full
    }

    pub(super) fn into_worth(self) -> Worth {
        Worth { scopes: self.scopes.into_iter().collect(), complete: !self.full, work: self.work }
    }
}
