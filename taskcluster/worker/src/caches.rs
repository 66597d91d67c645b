//! Directories that outlive a task.
//!
//! A cache has a name, and as many instances as tasks ever used it at once. An instance is used by one task at a time, always
//! at the same absolute path, and persists: the lock of an instance is a locked file beside it, so several workers, also in
//! several processes, may share one folder of caches, and a worker that dies leaves no lock behind.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::tree::remove_tree;

/// A folder of caches.
#[derive(Clone, Debug)]
pub struct CacheStore {
    root: PathBuf,
}

impl CacheStore {
    /// Use `root`, which is made where it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self { root: root.canonicalize()? })
    }

    /// Take the instance of cache `name` that was used last and is free, or a new one.
    ///
    /// # Errors
    /// The disk does not obey.
    pub fn acquire(&self, name: &str) -> io::Result<Cache> {
        let folder = self.root.join(folder_name(name));
        fs::create_dir_all(&folder)?;
        let mut known = locks(&folder)?;
        known.sort_by(|a, b| b.used.cmp(&a.used).then(a.index.cmp(&b.index)));
        let fresh = known.iter().map(|lock| lock.index + 1).max().unwrap_or(0);
        for index in known.iter().map(|lock| lock.index).chain(fresh..) {
            if let Some(cache) = Cache::lock(&folder, name, index)? {
                return Ok(cache);
            }
        }
        unreachable!("the indices do not end")
    }
}

struct Lock {
    index: u32,
    used: SystemTime,
}

fn locks(folder: &Path) -> io::Result<Vec<Lock>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let index = name.to_str().and_then(|name| name.strip_suffix(".lock")).and_then(|index| index.parse().ok());
        if let Some(index) = index {
            found.push(Lock { index, used: entry.metadata()?.modified()? });
        }
    }
    Ok(found)
}

/// An instance of a cache that is this task's until it is dropped.
#[derive(Debug)]
pub struct Cache {
    name: String,
    path: PathBuf,
    lock: File,
}

impl Cache {
    fn lock(folder: &Path, name: &str, index: u32) -> io::Result<Option<Self>> {
        let lock =
            File::options().create(true).truncate(false).write(true).open(folder.join(format!("{index}.lock")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let path = folder.join(index.to_string());
        fs::create_dir_all(&path)?;
        Ok(Some(Self { name: name.to_owned(), path, lock }))
    }

    /// The cache's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remove what it holds and give it back.
    ///
    /// # Errors
    /// The disk does not obey.
    pub fn purge(self) -> io::Result<()> {
        remove_tree(&self.path)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // Compared with other file times only, so the clock of the system is the right one.
        let now = SystemTime::now();
        // Best effort: without it the order of preference is worse, nothing else.
        let _ = self.lock.set_modified(now);
        // Not left to closing: a process that is just being started may hold a copy of the descriptor.
        let _ = self.lock.unlock();
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
    fn a_purged_instance_comes_back_empty() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let cache = store.acquire("a/../b").unwrap();
        let path = cache.path().to_owned();
        fs::create_dir(path.join("module")).unwrap();
        fs::write(path.join("module/object"), "broken").unwrap();
        // As caches of modules are.
        fs::set_permissions(path.join("module"), fs::Permissions::from_mode(0o500)).unwrap();
        cache.purge().unwrap();
        let again = store.acquire("a/../b").unwrap();
        assert_eq!(again.path(), path);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }

    #[test]
    fn names_do_not_leave_the_folder_and_do_not_meet() {
        assert_eq!(folder_name("../x"), "%2e%2e%2fx");
        assert_ne!(folder_name(&"x/".repeat(200)), folder_name(&"x/".repeat(201)));
        assert!(folder_name(&"x/".repeat(200)).len() < 250);
    }
}
