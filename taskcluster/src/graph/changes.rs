//! Which files a push touches, and which tasks look at them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    /// The files in which two commits of a checkout differ, found by the program `git`: both names of a file that was moved.
    /// A base that the checkout lacks (a first push, one that was forced, a shallow clone) means everything. Blocks.
    ///
    /// # Errors
    /// There is no `git`, or it has something to complain about.
    pub fn between(checkout: impl AsRef<Path>, base: Option<&str>, head: &str) -> Result<Self, GitError> {
        let Some(base) = base else { return Ok(Self::Everything) };
        if !git(checkout.as_ref(), &["cat-file", "-e", &format!("{base}^{{commit}}")])?.status.success() {
            return Ok(Self::Everything);
        }
        let names = git(checkout.as_ref(), &["diff", "--name-only", "--no-renames", "-z", base, head])?;
        if !names.status.success() {
            return Err(GitError::Refused(String::from_utf8_lossy(&names.stderr).trim().to_owned()));
        }
        Ok(Self::from_git(&String::from_utf8_lossy(&names.stdout)))
    }

    /// The files in what `git diff --name-only --no-renames -z BASE HEAD` prints.
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

/// Why commits cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The program `git` cannot be started.
    #[error("cannot start git")]
    NotStarted(#[from] std::io::Error),
    /// It does not do what it is asked for.
    #[error("git cannot compare the commits: {0}")]
    Refused(String),
}

fn git(checkout: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("git").arg("-C").arg(checkout).args(arguments).stdin(Stdio::null()).output()
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

    #[test]
    fn commits_are_compared_and_a_missing_base_means_everything() {
        let folder = std::env::temp_dir().join(format!("taskcluster-changes-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("src")).unwrap();
        let run = |arguments: &[&str]| assert!(git(&folder, arguments).unwrap().status.success(), "git {arguments:?}");
        run(&["init", "-q"]);
        let commit = |message: &str| {
            run(&["add", "-A"]);
            run(&["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", message]);
        };
        std::fs::write(folder.join("src/a file"), "a text that is long enough to be known again").unwrap();
        commit("first");
        std::fs::rename(folder.join("src/a file"), folder.join("moved")).unwrap();
        commit("second");
        let between = |base: Option<&str>, head: &str| Changes::between(&folder, base, head);
        assert_eq!(between(None, "HEAD").unwrap(), Changes::Everything);
        for missing in
            ["1111111111111111111111111111111111111111", "0000000000000000000000000000000000000000", "no-such-branch"]
        {
            assert_eq!(between(Some(missing), "HEAD").unwrap(), Changes::Everything);
        }
        let both = Changes::Files(vec!["moved".into(), "src/a file".into()]);
        assert_eq!(between(Some("HEAD~1"), "HEAD").unwrap(), both);
        assert!(matches!(between(Some("HEAD"), "no-such-branch"), Err(GitError::Refused(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
