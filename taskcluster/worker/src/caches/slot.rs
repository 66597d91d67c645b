//! The place of one instance: its directory and the locked file beside it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use taskcluster_core::time::Timestamp;

use crate::tree::remove_tree;

/// A place that was used at some time.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) index: u32,
    /// Whether it holds an instance.
    pub(super) there: bool,
    pub(super) used: SystemTime,
}

/// The places of a cache, in no order.
pub(super) fn known(folder: &Path) -> io::Result<Vec<Known>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let index = name.to_str().and_then(|name| name.strip_suffix(".lock")).and_then(|index| index.parse().ok());
        if let Some(index) = index {
            let there = folder.join(format!("{index}")).is_dir();
            found.push(Known { index, there, used: entry.metadata()?.modified()? });
        }
    }
    Ok(found)
}

/// A place, locked until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    path: PathBuf,
    lock: File,
}

impl Slot {
    /// The place, unless somebody has it. Its file stays for ever: another process may be about to lock it.
    pub(super) fn lock(folder: &Path, index: u32) -> io::Result<Option<Self>> {
        let path = folder.join(index.to_string());
        let lock = path.with_extension("lock");
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is in this place is not to be used: it was made before the request to purge it, or is not whole.
    pub(super) fn is_void(&self, purged: Option<Timestamp>) -> io::Result<bool> {
        if !self.path.try_exists()? {
            return Ok(false);
        }
        Ok(match (created(&self.path)?, purged) {
            (None, _) => true,
            (Some(created), Some(purged)) => created < purged,
            (Some(_), None) => false,
        })
    }

    /// Have an instance here, a new one if there is none.
    pub(super) fn fill(&self, now: Timestamp) -> io::Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        self.spoil()?;
        fs::create_dir_all(&self.path)?;
        self.lock.write_all_at(now.to_string().as_bytes(), 0)
    }

    /// Let what is here not be taken for whole.
    pub(super) fn spoil(&self) -> io::Result<()> {
        self.lock.set_len(0)
    }

    /// Wait until the disk has what is known of this place.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.lock.sync_all()
    }

    /// Have nothing here. If something goes wrong on the way, what is left is not taken for whole.
    pub(super) fn empty(&self) -> io::Result<()> {
        self.spoil()?;
        remove_tree(&self.path)
    }

    /// Best effort: without it the order of preference is worse, nothing else.
    pub(super) fn used(&self, now: SystemTime) {
        let _ = self.lock.set_modified(now);
    }
}

/// When the instance at `path` was made, whoever uses it; nothing if there is none that is whole.
pub(super) fn created(path: &Path) -> io::Result<Option<Timestamp>> {
    let text = fs::read(path.with_extension("lock"))?;
    Ok(str::from_utf8(&text).ok().and_then(|text| text.parse().ok()))
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Not left to closing: a process that is just being started may hold a copy of the descriptor.
        let _ = self.lock.unlock();
    }
}
