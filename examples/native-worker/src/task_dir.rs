//! The directories of tasks, and the one in which they all are.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use taskcluster_worker::remove_tree;

use crate::cgroup;
use crate::isolation::Isolation;
use crate::process::Tree;
use crate::user;

/// A task's directory, removed when dropped unless it is kept.
#[derive(Debug)]
pub(crate) struct TaskDir(pub(crate) PathBuf, Afterwards);

/// What becomes of a task's directory when the task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    Removed,
    /// For somebody to look at, who removes it.
    Kept,
}

impl TaskDir {
    /// Make a directory that nobody else may look into.
    pub(crate) fn make(dir: &Path, afterwards: Afterwards) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let made = Self(dir.canonicalize()?, afterwards);
        std::fs::set_permissions(&made.0, std::fs::Permissions::from_mode(0o700))?;
        Ok(made)
    }
}

impl TaskDir {
    pub(crate) fn is_kept(&self) -> bool {
        self.1 == Afterwards::Kept
    }
}

impl Drop for TaskDir {
    fn drop(&mut self) {
        if self.is_kept() {
            return;
        }
        if let Err(error) = remove_tree(&self.0) {
            tracing::error!(path = %self.0.display(), %error, "cannot remove the directory of a task");
        }
    }
}

/// Whether everybody may pass what there is of the way to a directory.
///
/// # Errors
/// Somebody may not, or it cannot be told.
pub(crate) fn let_pass(dir: &Path) -> io::Result<()> {
    for ancestor in dir.ancestors() {
        match std::fs::metadata(ancestor) {
            Ok(found) if found.permissions().mode() & 0o001 != 0 => {}
            Ok(_) => {
                let text =
                    format!("the users of tasks cannot pass {}; choose another work directory", ancestor.display());
                return Err(io::Error::other(text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Have the directory in which tasks get theirs, with nothing in it, and nothing running, of a worker that was killed. Blocks.
pub(crate) fn prepare(tasks_dir: &Path, isolation: Isolation) -> io::Result<()> {
    std::fs::create_dir_all(tasks_dir)?;
    let tasks_dir = tasks_dir.canonicalize()?;
    if isolation == Isolation::User {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other("isolation \"user\" needs root; use isolation \"none\" or run as root"));
        }
        std::fs::set_permissions(&tasks_dir, std::fs::Permissions::from_mode(0o711))?;
        let_pass(&tasks_dir)?;
        user::remove_leftovers(&tasks_dir)?;
    }
    cgroup::remove_leftovers();
    // A task may have removed its directory: what is there does not tell which tasks there were.
    Tree::of_all_below(&tasks_dir).kill();
    for entry in std::fs::read_dir(&tasks_dir)? {
        remove_tree(&entry?.path())?;
    }
    Ok(())
}
