//! Names in the index: words joined by dots.

use std::fmt;
use std::str::FromStr;

use taskcluster_server::arguments::path_pattern;

/// No longer than answers may show.
const LONGEST: usize = 255;

/// A name: the last word, and the namespace that the words before it make up. One word stands in the topmost namespace,
/// which is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct IndexPath {
    /// All words but the last.
    pub namespace: String,
    /// The last word.
    pub name: String,
}

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name in the index: that is at most {LONGEST} characters, {pattern}",
    pattern = path_pattern("indexPath").text
)]
#[non_exhaustive]
pub struct NoPath(pub String);

impl IndexPath {
    /// From its two parts.
    #[must_use]
    pub fn of(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The namespaces that it is in, each as its parent and its own last word, the topmost first.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &str)> {
        let ends = self.namespace.match_indices('.').map(|(at, _)| at).chain([self.namespace.len()]);
        ends.filter(|_| !self.namespace.is_empty()).map(|end| {
            let whole = &self.namespace[..end];
            whole.rsplit_once('.').unwrap_or(("", whole))
        })
    }
}

impl FromStr for IndexPath {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        if text.len() > LONGEST || !(path_pattern("indexPath").matches)(text) {
            return Err(NoPath(text.to_owned()));
        }
        let (namespace, name) = text.rsplit_once('.').unwrap_or(("", text));
        Ok(Self::of(namespace, name))
    }
}

impl fmt::Display for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.namespace, self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_and_put_together() {
        for (text, namespace, name) in [("a", "", "a"), ("a.b", "a", "b"), ("a.b.c-1", "a.b", "c-1")] {
            let path: IndexPath = text.parse().unwrap();
            assert_eq!(path, IndexPath::of(namespace, name));
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn its_namespaces_come_from_the_top() {
        let namespaces = |text: &str| {
            let path: IndexPath = text.parse().unwrap();
            path.namespaces().map(|(parent, name)| format!("{parent}/{name}")).collect::<Vec<_>>()
        };
        assert!(namespaces("a").is_empty());
        assert_eq!(namespaces("a.b"), ["/a"]);
        assert_eq!(namespaces("a.b.c.d"), ["/a", "a/b", "a.b/c"]);
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "ü", "a\0b", &"x".repeat(256)] {
            assert!(text.parse::<IndexPath>().is_err(), "{text}");
        }
        assert!("x".repeat(255).parse::<IndexPath>().is_ok());
    }
}
