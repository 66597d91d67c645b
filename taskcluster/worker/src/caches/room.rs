//! Room on the disk.

use std::io;

use super::CacheStore;
use super::slot::{Slot, known};

impl CacheStore {
    /// Remove instances that nobody uses, the least recently used first, until there is `enough` or none is left. Says how many.
    /// Blocks.
    ///
    /// # Errors
    /// The disk does not obey, or `enough` fails.
    pub fn make_room(&self, mut enough: impl FnMut() -> io::Result<bool>) -> io::Result<usize> {
        let mut removed = 0;
        if enough()? {
            return Ok(removed);
        }
        let mut instances = Vec::new();
        for folder in self.folders()? {
            let there = known(&folder)?.into_iter().filter(|known| known.there);
            instances.extend(there.map(|known| (known.used, folder.clone(), known.index)));
        }
        instances.sort();
        for (_, folder, index) in instances {
            match Slot::lock(&folder, index).and_then(|free| free.map(|slot| slot.empty()).transpose()) {
                Ok(Some(())) => removed += 1,
                Ok(None) => continue,
                Err(error) => tracing::warn!(folder = %folder.display(), index, %error, "cannot remove a cache"),
            }
            if enough()? {
                break;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// An instance that was last used so many seconds after all time began.
    fn used(store: &CacheStore, name: &str, seconds: u64) -> PathBuf {
        let cache = store.acquire(name).unwrap();
        let path = cache.path().to_owned();
        drop(cache);
        let lock = std::fs::File::options().write(true).open(path.with_extension("lock")).unwrap();
        lock.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        path
    }

    #[test]
    fn the_least_recently_used_go_first_and_only_as_many_as_need_be() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let [b, c, a] = [("b", 2), ("c", 3), ("a", 1)].map(|(name, seconds)| used(&store, name, seconds));
        assert_eq!(store.make_room(|| Ok(true)).unwrap(), 0);
        assert!(a.exists());
        assert_eq!(store.make_room(|| Ok(!b.exists())).unwrap(), 2);
        assert!(!a.exists() && !b.exists() && c.exists());
    }

    #[test]
    fn one_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let free = used(&store, "target", 1);
        let (first, second) = (store.acquire("target").unwrap(), store.acquire("target").unwrap());
        assert_eq!(first.path(), free);
        drop(first);
        assert_eq!(store.make_room(|| Ok(false)).unwrap(), 1);
        assert!(!free.exists() && second.path().exists());
        assert_eq!(store.make_room(|| Ok(false)).unwrap(), 0, "what was removed is not removed again");
    }
}
