//! Matching of routing keys, as AMQP's topic exchanges do it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A pattern for routing keys: words between dots, where `*` stands for one word and `#` for any number of them, also
/// none.
///
/// ```
/// use taskcluster_core::routing::Pattern;
/// let pattern = Pattern::new("primary.*.0.#");
/// assert!(pattern.matches("primary.fN1SbArXTPSVFNUvaOlinQ.0"));
/// assert!(!pattern.matches("primary.fN1SbArXTPSVFNUvaOlinQ.1.x"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern with this text. Every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern for every key.
    #[must_use]
    pub fn all() -> Self {
        Self::new("#")
    }

    /// Whether the routing key is of this pattern.
    pub fn matches(&self, key: &str) -> bool {
        // The empty key has no words at all, which only `#` matches.
        let mut words = if key.is_empty() { None } else { Some(key) };
        let mut pattern = if self.0.is_empty() { None } else { Some(self.0.as_str()) };
        // After a failure, the last `#` takes one word more: where to go on in the pattern, and in the key.
        let mut retry: Option<(Option<&str>, &str)> = None;
        loop {
            match (pattern.map(split), words.map(split)) {
                (Some(("#", rest)), _) => {
                    retry = words.map(|words| (rest, words));
                    pattern = rest;
                    continue;
                }
                (Some((expected, rest)), Some((word, left))) if expected == "*" || expected == word => {
                    (pattern, words) = (rest, left);
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, from)) = retry else { return false };
            let (_, left) = split(from);
            (pattern, words) = (after, left);
            retry = left.map(|left| (after, left));
        }
    }

    /// The text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first word and what follows it.
fn split(words: &str) -> (&str, Option<&str>) {
    words.split_once('.').map_or((words, None), |(word, rest)| (word, Some(rest)))
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_one_word_and_hashes_any_number() {
        for (pattern, key, matches) in [
            ("#", "", true),
            ("#", "a.b", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("a.*", "a", false),
            ("a.*", "a.b", true),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("a.#", "ab", false),
            ("#.c", "c", true),
            ("#.c", "a.b.c", true),
            ("#.c", "a.b.c.d", false),
            ("#.b.#", "a.b.c", true),
            ("#.b.#.b", "b.a.b", true),
            ("#.b.#.b", "a.b.a", false),
            ("a.#.b.*.c", "a.x.b.b.y.c", true),
            ("#.*", "", false),
            ("#.*", "a", true),
            ("#.#", "", true),
            ("a*", "ab", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(key), matches, "{pattern:?} {key:?}");
        }
    }

    #[test]
    fn many_hashes_do_not_take_for_ever() {
        let key = vec!["a"; 500].join(".");
        assert!(!Pattern::new("#.a.".repeat(50) + "b").matches(&key));
    }
}
