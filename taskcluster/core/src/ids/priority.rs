use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How urgent a task is; the greater one is claimed first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// A word that a newer service uses. Below all others, since nothing is known about it.
    Unknown(Box<str>),
    /// `lowest`, which a task has if it says nothing.
    #[default]
    Lowest,
    /// `very-low`.
    VeryLow,
    /// `low`.
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
    /// `very-high`.
    VeryHigh,
    /// `highest`.
    Highest,
}

impl Priority {
    /// All that are known, the lowest first.
    pub const ALL: [Self; 7] =
        [Self::Lowest, Self::VeryLow, Self::Low, Self::Medium, Self::High, Self::VeryHigh, Self::Highest];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown(word) => word,
            Self::Lowest => "lowest",
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::VeryHigh => "very-high",
            Self::Highest => "highest",
        }
    }
}

impl From<&str> for Priority {
    fn from(word: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == word).unwrap_or_else(|| Self::Unknown(word.into()))
    }
}

impl From<String> for Priority {
    fn from(word: String) -> Self {
        Self::from(word.as_str())
    }
}

impl FromStr for Priority {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(Self::from(word))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_order_and_keep_their_words() {
        assert!(Priority::ALL.is_sorted());
        assert_eq!(Priority::ALL.iter().max(), Some(&Priority::Highest));
        for priority in Priority::ALL {
            let json = serde_json::to_string(&priority).unwrap();
            assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), priority);
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
        assert_eq!(Priority::default(), Priority::Lowest);
    }

    #[test]
    fn an_unknown_word_is_kept_and_ranks_last() {
        let odd: Priority = serde_json::from_str("\"urgent\"").unwrap();
        assert_eq!(serde_json::to_string(&odd).unwrap(), "\"urgent\"");
        assert!(odd < Priority::Lowest);
    }
}
