//! Where things are kept: below the user's state directory, apart for each repository, where nobody says otherwise.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use service_kit::data_dir::{DataDir, DataDirError};
use sha2::{Digest as _, Sha256};

use crate::disk;

/// Takes a folder for this process, if there is room in it; nobody else may use it until the process ends.
pub(crate) fn open(path: &Path) -> Result<DataDir> {
    let data = DataDir::open(path).map_err(|error| match error {
        DataDirError::InUse { path, owner } => anyhow!(
            "the data directory {} is in use by {owner}; wait for that one or stop it, or use another with --data",
            path.display()
        ),
        other => other.into(),
    })?;
    disk::refuse_full(path)?;
    Ok(data)
}

/// The folder for a repository: the same one in every run, so that caches stay warm.
pub(crate) fn of_repository(root: &Path) -> Result<PathBuf> {
    Ok(base(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?.join(folder_name(root)))
}

/// The folder of `taskcluster up`.
pub(crate) fn of_up() -> Result<PathBuf> {
    Ok(base(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?.join("up"))
}

fn base(state_home: Option<OsString>, home: Option<OsString>) -> Result<PathBuf> {
    // A relative path in XDG_STATE_HOME is to be ignored, says its specification.
    let state_home = state_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(PathBuf::from).filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
    match state_home.or(home) {
        Some(state) => Ok(state.join("taskcluster")),
        None => bail!("neither XDG_STATE_HOME nor HOME is set: say with --data where things are to be kept"),
    }
}

fn folder_name(root: &Path) -> String {
    let hash = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name: String = root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(40)
        .collect();
    if name.is_empty() { hash } else { format!("{name}-{hash}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_the_one_that_the_user_chose() {
        let base = |state: Option<&str>, home: Option<&str>| base(state.map(Into::into), home.map(Into::into)).ok();
        assert_eq!(base(Some("/s"), Some("/h")), Some("/s/taskcluster".into()));
        assert_eq!(base(Some("relative"), Some("/h")), Some("/h/.local/state/taskcluster".into()));
        assert_eq!(base(None, None), None);
    }

    #[test]
    fn repositories_of_one_name_are_kept_apart() {
        assert_eq!(folder_name(Path::new("/a/thing")), folder_name(Path::new("/a/thing")));
        assert_ne!(folder_name(Path::new("/a/thing")), folder_name(Path::new("/b/thing")));
        assert!(folder_name(Path::new("/a/thing")).starts_with("thing-"));
    }
}
