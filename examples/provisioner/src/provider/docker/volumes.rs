//! Which directories containers may be shown.

use std::path::{Component, Path, PathBuf};

/// What operators allow.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    directories: Vec<PathBuf>,
    /// Links can be followed: the paths are those of this machine.
    is_local: bool,
}

impl Allowed {
    pub(super) fn new(directories: &[String], is_local: bool) -> Self {
        Self { directories: directories.iter().map(PathBuf::from).collect(), is_local }
    }

    /// The path to show for what a definition wants to be shown: where it can be done, the one in which no link is left.
    ///
    /// What does not exist is told from what is not allowed by nobody: else one could find out what there is on the machine.
    pub(super) async fn source(&self, wanted: &str) -> Result<String, String> {
        let source = match plain(wanted) {
            Some(source) if self.is_local => self.resolved(&source).await,
            Some(source) => self.named(source),
            None => return Err(format!("the volume {wanted:?} is no absolute path without \"..\"")),
        };
        source.and_then(|source| source.into_os_string().into_string().ok()).ok_or_else(|| self.refusal(wanted))
    }

    /// Where it really is, if that is allowed.
    async fn resolved(&self, source: &Path) -> Option<PathBuf> {
        let source = tokio::fs::canonicalize(source).await.ok()?;
        for directory in &self.directories {
            if let Ok(directory) = tokio::fs::canonicalize(directory).await
                && source.starts_with(directory)
            {
                return Some(source);
            }
        }
        None
    }

    /// As it is called, if that is allowed.
    fn named(&self, source: PathBuf) -> Option<PathBuf> {
        let mut directories = self.directories.iter().filter_map(|directory| plain(directory.to_str()?));
        directories.any(|directory| source.starts_with(directory)).then_some(source)
    }

    fn refusal(&self, wanted: &str) -> String {
        if self.directories.is_empty() {
            return format!("the volume {wanted:?} is not allowed here, as no volume is");
        }
        let directories: Vec<_> = self.directories.iter().map(|directory| directory.to_string_lossy()).collect();
        format!("the volume {wanted:?} is nothing that is in a directory allowed here: {}", directories.join(", "))
    }
}

/// An absolute path with nothing in it but names.
fn plain(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let names = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Such as `a/./b` and `a//b`, which components do not tell.
    (path.is_absolute() && names).then(|| path.components().collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn no_link_gets_out_of_what_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
        for name in ["allowed/in", "allowed-not", "secret"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        symlink(at("secret"), at("allowed/out")).unwrap();
        symlink(at("allowed"), at("alias")).unwrap();
        symlink("in", at("allowed/near")).unwrap();
        let allowed = Allowed::new(&[at("alias")], true);
        for (wanted, shown) in [
            ("allowed", "allowed"),
            ("allowed/in", "allowed/in"),
            ("allowed/./in/", "allowed/in"),
            ("alias/in", "allowed/in"),
            ("allowed/near", "allowed/in"),
        ] {
            assert_eq!(allowed.source(&at(wanted)).await, Ok(at(shown)));
        }
        for wanted in ["", "secret", "allowed-not", "allowed/out", "allowed/in/../../secret", "allowed/none"] {
            assert!(allowed.source(&at(wanted)).await.is_err(), "{wanted}");
        }
        assert!(allowed.source("in").await.is_err());
        let (none, secret) =
            (allowed.source(&at("none")).await.unwrap_err(), allowed.source(&at("secret")).await.unwrap_err());
        assert_eq!(none.replace("none", "secret"), secret, "nobody finds out what there is");
        assert!(Allowed::new(&[], true).source(&at("allowed")).await.is_err());
    }

    #[tokio::test]
    async fn elsewhere_names_have_to_do() {
        let allowed = Allowed::new(&["/srv/cache/".to_owned()], false);
        assert_eq!(allowed.source("/srv//cache/./a/").await, Ok("/srv/cache/a".to_owned()));
        assert_eq!(allowed.source("/srv/cache").await, Ok("/srv/cache".to_owned()));
        for wanted in ["/srv/cache2", "/srv/cache/../x", "srv/cache", "/", ""] {
            assert!(allowed.source(wanted).await.is_err(), "{wanted}");
        }
    }
}
