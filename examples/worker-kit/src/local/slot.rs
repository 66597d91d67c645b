//! Where a local run works: the same few places again and again, so that each run clears away what one left that was killed there.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// How many there may be at once.
const MOST: usize = 256;

/// A place that no other run has. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    dir: PathBuf,
    _lock: File,
}

impl Slot {
    /// The first that is free, for the program of this name.
    ///
    /// # Errors
    /// The system's temporary folder cannot be used.
    pub(super) fn take(program: &str) -> Result<Self> {
        Self::below(&std::env::temp_dir(), program)
    }

    fn below(temporary: &Path, program: &str) -> Result<Self> {
        let home = home(temporary, program)?;
        let cannot = || format!("{} cannot be used", home.display());
        for number in 0..MOST {
            let lock = home.join(format!("{number}.lock"));
            let lock = File::options().create(true).truncate(false).write(true).open(lock).with_context(cannot)?;
            match lock.try_lock() {
                Ok(()) => {
                    let dir = home.join(number.to_string());
                    std::fs::create_dir_all(&dir).with_context(cannot)?;
                    return Ok(Self { dir, _lock: lock });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
        }
        bail!("{MOST} tasks run locally already")
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // While it is still this run's.
        let _ = taskcluster_worker::remove_tree(&self.dir);
    }
}

/// The folder of this user's local runs, in which nobody else may write.
fn home(temporary: &Path, program: &str) -> Result<PathBuf> {
    let user = rustix::process::geteuid();
    let home = temporary.join(format!("{program}-local-{}", user.as_raw()));
    let cannot = || format!("{} cannot be used", home.display());
    // The users of tasks pass through root's.
    let mode = if user.is_root() { 0o711 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(&home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).with_context(cannot),
        _ => {}
    }
    let found = home.symlink_metadata().with_context(cannot)?;
    if !found.is_dir() || found.uid() != user.as_raw() || found.mode() & 0o022 != 0 {
        bail!("{} is somebody else's, or others may write there: remove it, or set TMPDIR", home.display());
    }
    Ok(home)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, remove_file, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_place_is_taken_once_and_free_again_afterwards() {
        let temporary = tempfile::tempdir().unwrap();
        let take = || Slot::below(temporary.path(), "some-worker").unwrap();
        let (first, second) = (take(), take());
        assert_ne!(first.path(), second.path());
        let place = first.path().to_owned();
        std::fs::write(place.join("file"), "x").unwrap();
        drop(first);
        assert!(!place.exists());
        assert_eq!(take().path(), place);
    }

    #[test]
    fn what_a_killed_run_left_is_where_the_next_one_works() {
        let temporary = tempfile::tempdir().unwrap();
        let left = home(temporary.path(), "some-worker").unwrap().join("0/work");
        std::fs::create_dir_all(&left).unwrap();
        let next = Slot::below(temporary.path(), "some-worker").unwrap();
        assert!(next.path().join("work").exists(), "its worker finds and clears it");
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        let temporary = tempfile::tempdir().unwrap();
        let home = home(temporary.path(), "some-worker").unwrap();
        std::fs::remove_dir(&home).unwrap();
        symlink("/", &home).unwrap();
        assert!(Slot::below(temporary.path(), "some-worker").is_err());
        remove_file(&home).unwrap();
        create_dir(&home).unwrap();
        set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
        assert!(Slot::below(temporary.path(), "some-worker").unwrap_err().to_string().contains("somebody else's"));
    }
}
