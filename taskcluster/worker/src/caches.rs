//! Directories that outlive a task.
//!
//! A cache has a name, and as many instances as tasks ever used it at once. An instance is used by one task at a time, always
//! at the same absolute path, and persists: the lock of an instance is a locked file beside it, so several workers, also in
//! several processes, may share one folder of caches, and a worker that dies leaves no lock behind.
//!
//! An instance goes when it was made before somebody asked for its cache to be [purged](CacheStore::purge), when a task says that
//! it spoiled it, and, the least recently used first, when the disk is short ([`CacheStore::make_room`]). One that a task
//! uses goes when it is given back. What is to be known for that lies in the folder too:
//!
//! ```text
//! <cache>/purged     the time of the newest request to purge the cache
//! <cache>/0.lock     when instance 0 was made, empty while there is none; locked while it is used; changed when it was last used
//! <cache>/0/         the instance
//! ```
//!
//! An instance of which it is not known when it was made is never used: it was being made, or removed, when something was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use taskcluster_core::clock::{SharedClock, SystemClock};

mod of_run;
mod requests;
mod room;
mod slot;

pub use of_run::RunCaches;
pub use requests::Purged;

use slot::{Known, Slot, known};

/// A folder of caches.
#[derive(Clone, Debug)]
pub struct CacheStore {
    root: PathBuf,
    clock: SharedClock,
}

impl CacheStore {
    /// Use `root`, which is made where it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self { root: root.canonicalize()?, clock: SystemClock::shared() })
    }

    /// By this clock it is noted when instances are made. Default: that of the system.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Take the instance of cache `name` that was used last and is free, or a new one. Blocks: one that is to be purged is
    /// removed first.
    ///
    /// # Errors
    /// The disk does not obey.
    pub fn acquire(&self, name: &str) -> io::Result<Cache> {
        let folder = self.root.join(folder_name(name));
        fs::create_dir_all(&folder)?;
        let mut instances = known(&folder)?;
        instances.sort_by_key(|known| (std::cmp::Reverse((known.there, known.used)), known.index));
        let fresh = instances.iter().map(|known| known.index + 1).max().unwrap_or(0);
        for Known { index, .. } in instances {
            match self.try_take(&folder, name, index) {
                Ok(Some(cache)) => return Ok(cache),
                Ok(None) => {}
                // What a task left may be such that it cannot be removed; others are still good.
                Err(error) => tracing::warn!(cache = name, index, %error, "cannot use an instance of a cache"),
            }
        }
        for index in fresh.. {
            if let Some(cache) = self.try_take(&folder, name, index)? {
                return Ok(cache);
            }
        }
        unreachable!("the indices do not end")
    }

    /// The instance, unless somebody uses it.
    fn try_take(&self, folder: &Path, name: &str, index: u32) -> io::Result<Option<Cache>> {
        let Some(slot) = Slot::lock(folder, index)? else { return Ok(None) };
        if slot.is_void(requests::newest(folder)?)? {
            slot.empty()?;
        }
        slot.fill(self.clock.now())?;
        Ok(Some(Cache { name: name.to_owned(), folder: folder.to_owned(), slot }))
    }

    /// Whether there is no instance of any cache.
    ///
    /// # Errors
    /// The disk does not obey.
    pub fn is_empty(&self) -> io::Result<bool> {
        for folder in self.folders()? {
            if known(&folder)?.iter().any(|known| known.there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One folder for each cache.
    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// An instance of a cache that is this task's until it is given back, or dropped.
#[derive(Debug)]
pub struct Cache {
    name: String,
    folder: PathBuf,
    slot: Slot,
}

impl Cache {
    /// The cache's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.slot.path()
    }

    /// Give it back. Blocks where it was to be purged meanwhile: it is removed. Says whether it was.
    ///
    /// # Errors
    /// The disk does not obey. What was to be purged is not used again all the same.
    pub fn give_back(self) -> io::Result<bool> {
        let void = self.slot.is_void(requests::newest(&self.folder)?)?;
        if void {
            self.slot.empty()?;
        }
        Ok(void)
    }

    /// Let it be removed when it is given back, or by whoever finds it if nobody lives to give it back, also after the machine
    /// has failed.
    ///
    /// # Errors
    /// The disk does not obey.
    pub fn spoil(&self) -> io::Result<()> {
        self.slot.spoil()?;
        self.slot.sync()
    }

    /// Remove what it holds and give it back. Blocks.
    ///
    /// # Errors
    /// The disk does not obey. What is left of it is not used again.
    pub fn purge(self) -> io::Result<()> {
        self.spoil()?;
        self.give_back().map(drop)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // Compared with other file times only, so the clock of the system is the right one.
        self.slot.used(SystemTime::now());
    }
}

/// A folder's name for any cache name: readable where that is possible, different for different names.
fn folder_name(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    // The longest name that file systems take is 255 bytes.
    if out.len() > 200 {
        use sha2::Digest;
        let hash = sha2::Sha256::digest(name.as_bytes());
        out.truncate(150);
        out.push('%');
        out.extend(hash.iter().map(|byte| format!("{byte:02x}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_instance_persists_and_is_used_by_one_task_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path().join("caches")).unwrap();
        let first = store.acquire("target").unwrap();
        let path = first.path().to_owned();
        fs::write(path.join("object"), "built").unwrap();
        let second = CacheStore::open(dir.path().join("caches")).unwrap().acquire("target").unwrap();
        assert_ne!(second.path(), path);
        drop(first);
        let again = store.acquire("target").unwrap();
        assert_eq!(again.path(), path);
        assert_eq!(fs::read_to_string(path.join("object")).unwrap(), "built");
    }

    #[test]
    fn a_spoiled_instance_comes_back_empty() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let cache = store.acquire("a/../b").unwrap();
        let path = cache.path().to_owned();
        fs::create_dir(path.join("module")).unwrap();
        fs::write(path.join("module/object"), "broken").unwrap();
        // As caches of modules are.
        fs::set_permissions(path.join("module"), fs::Permissions::from_mode(0o500)).unwrap();
        cache.spoil().unwrap();
        assert!(path.join("module/object").exists(), "it is still in use");
        assert!(cache.give_back().unwrap());
        let again = store.acquire("a/../b").unwrap();
        assert_eq!(again.path(), path);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }

    #[test]
    fn an_instance_that_is_there_goes_before_one_that_was_purged() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let (warm, spoiled) = (store.acquire("target").unwrap(), store.acquire("target").unwrap());
        let path = warm.path().to_owned();
        warm.give_back().unwrap();
        spoiled.purge().unwrap();
        assert_eq!(store.acquire("target").unwrap().path(), path);
    }

    #[test]
    fn what_nobody_could_give_back_or_remove_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let cache = store.acquire("target").unwrap();
        let path = cache.path().to_owned();
        fs::write(path.join("half"), "of it").unwrap();
        cache.spoil().unwrap();
        // As by a kill.
        drop(cache);
        let again = store.acquire("target").unwrap();
        assert_eq!((again.path(), fs::read_dir(&path).unwrap().count()), (path.as_path(), 0));
    }

    #[test]
    fn names_do_not_leave_the_folder_and_do_not_meet() {
        assert_eq!(folder_name("../x"), "%2e%2e%2fx");
        assert_ne!(folder_name(&"x/".repeat(200)), folder_name(&"x/".repeat(201)));
        assert!(folder_name(&"x/".repeat(200)).len() < 250);
    }
}
