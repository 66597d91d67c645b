//! Directory trees that tasks made.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

use taskcluster_worker::remove_tree;

/// Give a directory and what is in it to a user and nobody else.
pub(crate) fn hand_over(dir: &Path, uid: u32, gid: u32) -> io::Result<()> {
    give(dir, uid, gid)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// Close a directory that was handed over to all but root. What is in it keeps its owner, whose number will be given to
/// another user, so nobody may pass. It may have been purged meanwhile.
pub(crate) fn take_back(dir: &Path) -> io::Result<()> {
    match lchown(dir, Some(0), Some(0)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o700)),
    }
}

/// Give a tree to a user; links themselves change hands, not what they point at.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    lchown(path, Some(uid), Some(gid))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

/// Remove what a user left directly below a directory that everybody may write to.
pub(crate) fn remove_belongings(dir: &Path, uid: u32) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Others come and go here.
        let Ok(found) = entry.metadata() else { continue };
        if found.uid() == uid {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// The regular files below a directory, as paths relative to it, sorted. Links to files count, links to directories do not.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    walk(dir, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), found)?;
        } else if entry.path().is_file() {
            found.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_without_following_links_to_directories() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::write(dir.path().join("b/c/file"), "").unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join("b"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("z")).unwrap();
        assert_eq!(files(dir.path()).unwrap(), ["a", "b/c/file", "z"]);
    }
}
