//! Which files a push touches, and which tasks look at them.

/// The files that a push touches, or everything where there is nothing to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Changes {
    /// A first push, a commit that is not there to compare with, a run by hand.
    Everything,
    /// These paths, from the top of the checkout, with `/`.
    Files(Vec<String>),
}

impl Changes {
    /// The files in what `git diff --name-only -z BASE HEAD` prints.
    pub fn from_git(names: &str) -> Self {
        Self::Files(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Whether a file changed for which `fits` says yes.
    pub fn touch(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Everything => true,
            Self::Files(files) => files.iter().any(|file| fits(file)),
        }
    }

    /// Whether a file changed that fits one of these patterns, as [`matches()`] reads them.
    pub fn touch_any<P: AsRef<str>>(&self, patterns: &[P]) -> bool {
        self.touch(|file| patterns.iter().any(|pattern| matches(pattern.as_ref(), file)))
    }
}

/// Whether a path fits a pattern: `*` stands for any characters within a name, `?` for one of them, and `**` for any
/// number of folders. A pattern is about the whole path: `*.md` fits `README.md`, `**/*.md` fits `docs/a.md`, too.
///
/// ```
/// use taskcluster::graph::matches;
/// assert!(matches("src/**", "src/a/b.rs"));
/// assert!(matches("**/*.md", "README.md"));
/// assert!(!matches("*.md", "docs/a.md"));
/// ```
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    walk(
        &pattern,
        &path,
        |name| *name == "**",
        |pattern, name| {
            let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            walk(&pattern, &name, |letter| *letter == '*', |pattern, letter| *pattern == '?' || pattern == letter)
        },
    )
}

/// Matches a list with wildcards for any number of entries. Going back to the last wildcard is enough.
fn walk<T>(pattern: &[T], list: &[T], any: impl Fn(&T) -> bool, fits: impl Fn(&T, &T) -> bool) -> bool {
    let (mut at, mut seen, mut back) = (0, 0, None);
    while seen < list.len() {
        if pattern.get(at).is_some_and(&any) {
            back = Some((at, seen));
            at += 1;
        } else if pattern.get(at).is_some_and(|pattern| fits(pattern, &list[seen])) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            (at, seen) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_about_the_whole_path() {
        for (pattern, path) in [
            ("a", "a"),
            ("*", "a"),
            ("**", "a/b/c"),
            ("a/**", "a/b/c"),
            ("a/**/c", "a/c"),
            ("a/**/c", "a/b/b/c"),
            ("**/c", "c"),
            ("a*b*c", "axbxbxc"),
            ("?.rs", "ä.rs"),
            ("**/x/**/*.y", "a/x/b/x/c.y"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("a", "b"), ("a", "a/b"), ("*", "a/b"), ("a/*", "a/b/c"), ("?", ""), ("**/c", "a/cc")] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_git_prints_is_read() {
        assert_eq!(Changes::from_git("a b\0c\0"), Changes::Files(vec!["a b".into(), "c".into()]));
        assert!(Changes::from_git("docs/a.md\0").touch_any(&["**/*.md"]));
        assert!(!Changes::from_git("").touch(|_| true));
        assert!(Changes::Everything.touch(|_| false));
    }
}
