//! Directory trees that tasks made.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Remove a file or a tree, also where a task took its own right to write away, as caches of modules do. Links are removed, not
/// followed; what is not there is fine. No process may be at work in it.
///
/// # Errors
/// Something in it belongs to somebody else, or the disk does not obey.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            fs::remove_dir_all(path)
        }
        end => end,
    }
}

fn make_writable(dir: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(dir)?.permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_the_right_to_write_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o500)).unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn a_file_or_a_link_is_removed_and_nothing_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, file, link) = (dir.path().join("kept"), dir.path().join("file"), dir.path().join("link"));
        fs::create_dir(&kept).unwrap();
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        for path in [&file, &link] {
            remove_tree(path).unwrap();
            assert!(path.symlink_metadata().is_err());
        }
        assert!(kept.exists());
    }
}
