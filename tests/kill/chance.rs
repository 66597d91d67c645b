//! Numbers by chance, the same again for the same seed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Where numbers come from. `KILL_SEED` in the environment gives those of a former run again.
#[derive(Debug)]
pub(super) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    pub(super) fn new() -> Self {
        let said = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = said.unwrap_or_else(|| RandomState::new().hash_one("kill")) | 1;
        Self { seed, state: seed }
    }

    /// Xorshift, as Marsaglia described it.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    /// A number from 0 to 1.
    pub(super) fn part(&mut self) -> f64 {
        self.below(10_000) as f64 / 10_000.0
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KILL_SEED={}", self.seed)
    }
}
