use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a run of a task, counted from 0.
///
/// Methods take `impl Into<RunId>`, so that a literal will do: `queue.claim_task(&task, 0, …)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(u32);

impl RunId {
    /// The run with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The run that would follow.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<u8> for RunId {
    fn from(number: u8) -> Self {
        Self(number.into())
    }
}

impl From<u16> for RunId {
    fn from(number: u16) -> Self {
        Self(number.into())
    }
}

impl From<u32> for RunId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// Here for the sake of literals, which are `i32` where nothing else is said. A negative number becomes 0.
impl From<i32> for RunId {
    fn from(number: i32) -> Self {
        Self(u32::try_from(number).unwrap_or(0))
    }
}

impl From<RunId> for u32 {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_text_become_runs() {
        let take = |run: RunId| run.get();
        assert_eq!(take(3.into()), 3);
        assert_eq!(take((-1).into()), 0);
        assert_eq!("7".parse(), Ok(RunId::new(7)));
        assert_eq!(u32::from(RunId::new(7).next()), 8);
        assert_eq!(serde_json::to_string(&RunId::new(7)).unwrap(), "7");
    }
}
