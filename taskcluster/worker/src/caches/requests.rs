//! Requests to purge: what of a cache was made before some time is not to be used any more.
//!
//! The newest request for a cache is noted in its folder, and whoever takes or gives back an instance looks there. So a
//! request reaches instances that are in use, whichever process uses them, and none is forgotten by a restart.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use taskcluster_core::time::Timestamp;

use super::slot::{self, Slot, known};
use super::{CacheStore, folder_name};

/// The file of a cache's folder that holds the time of the newest request.
const NOTE: &str = "purged";

/// What became of the instances that a request meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// So many were removed.
    pub removed: u32,
    /// So many are in use, and removed when they are given back.
    pub in_use: u32,
}

impl CacheStore {
    /// Remove the instances of a cache that were made before some time by this machine's clock; those that are in use, when they
    /// are given back. Asking again changes nothing. Blocks.
    ///
    /// # Errors
    /// The disk does not obey: then ask again. What is free is removed as far as possible, also on a disk that is full.
    pub fn purge(&self, name: &str, before: Timestamp) -> io::Result<Purged> {
        let (folder, mut purged) = (self.root.join(folder_name(name)), Purged::default());
        if !folder.is_dir() {
            return Ok(purged);
        }
        // First, so that what is given back from now on is looked at by whoever does that.
        let mut trouble = note(&folder, before).err();
        for known in known(&folder)?.into_iter().filter(|known| known.there) {
            match purge_one(&folder, known.index, before) {
                Ok(more) => {
                    purged.removed += more.removed;
                    purged.in_use += more.in_use;
                }
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(purged), Err)
    }
}

fn purge_one(folder: &Path, index: u32, before: Timestamp) -> io::Result<Purged> {
    let mut purged = Purged::default();
    match Slot::lock(folder, index)? {
        Some(slot) if slot.is_void(Some(before))? => {
            slot.empty()?;
            purged.removed = 1;
        }
        Some(_) => {}
        None => {
            let created = slot::created(&folder.join(index.to_string()))?;
            purged.in_use = u32::from(created.is_some_and(|created| created < before));
        }
    }
    Ok(purged)
}

/// The time of the newest request for the cache of this folder.
pub(super) fn newest(folder: &Path) -> io::Result<Option<Timestamp>> {
    match fs::read(folder.join(NOTE)) {
        Ok(text) => Ok(str::from_utf8(&text).ok().and_then(|text| text.parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Note a request, unless a newer one is noted.
fn note(folder: &Path, before: Timestamp) -> io::Result<()> {
    if newest(folder)?.is_some_and(|noted| noted >= before) {
        return Ok(());
    }
    // Whoever reads it finds the one or the other, never a part.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(before.to_string().as_bytes())?;
    file.persist(folder.join(NOTE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskcluster_core::clock::{Clock, ManualClock};

    use super::*;
    use crate::caches::Cache;

    struct Bench {
        dir: tempfile::TempDir,
        clock: ManualClock,
    }

    impl Bench {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), clock: ManualClock::default() }
        }

        /// What a worker has after a restart.
        fn store(&self) -> CacheStore {
            CacheStore::open(self.dir.path()).unwrap().with_clock(self.clock.shared())
        }

        fn later(&self) -> Timestamp {
            self.clock.advance(Duration::from_secs(1));
            self.clock.now()
        }
    }

    fn write(cache: &Cache) {
        fs::write(cache.path().join("left"), "").unwrap();
    }

    fn is_used(cache: &Cache) -> bool {
        cache.path().join("left").exists()
    }

    #[test]
    fn a_free_instance_is_removed_at_once_if_it_is_older() {
        let bench = Bench::new();
        let cache = bench.store().acquire("target").unwrap();
        write(&cache);
        let path = cache.path().to_owned();
        cache.give_back().unwrap();
        assert_eq!(bench.store().purge("target", bench.clock.now()).unwrap(), Purged::default(), "it is not older");
        let before = bench.later();
        assert_eq!(bench.store().purge("another", before).unwrap(), Purged::default());
        assert!(path.exists());
        assert_eq!(bench.store().purge("target", before).unwrap(), Purged { removed: 1, in_use: 0 });
        assert!(!path.exists() && bench.store().is_empty().unwrap());

        let newer = bench.store().acquire("target").unwrap();
        assert!(!is_used(&newer));
        write(&newer);
        drop(newer);
        assert_eq!(bench.store().purge("target", before).unwrap(), Purged::default(), "asking again changes nothing");
        assert!(is_used(&bench.store().acquire("target").unwrap()));
    }

    #[test]
    fn one_in_use_is_removed_when_it_is_given_back() {
        let bench = Bench::new();
        let cache = bench.store().acquire("target").unwrap();
        write(&cache);
        let (path, before) = (cache.path().to_owned(), bench.later());
        assert_eq!(bench.store().purge("target", before).unwrap(), Purged { removed: 0, in_use: 1 });
        assert!(is_used(&cache));
        assert!(cache.give_back().unwrap());
        assert!(!path.exists());
        assert!(!bench.store().acquire("target").unwrap().give_back().unwrap());
    }

    #[test]
    fn one_that_nobody_could_give_back_is_not_used_again() {
        let bench = Bench::new();
        let cache = bench.store().acquire("target").unwrap();
        write(&cache);
        bench.store().purge("target", bench.later()).unwrap();
        // As by a kill.
        drop(cache);
        assert!(!is_used(&bench.store().acquire("target").unwrap()));
    }

    #[test]
    fn an_older_request_takes_nothing_back() {
        let bench = Bench::new();
        let (earlier, cache) = (bench.later(), bench.store().acquire("target").unwrap());
        let before = bench.later();
        bench.store().purge("target", before).unwrap();
        bench.store().purge("target", earlier).unwrap();
        assert!(cache.give_back().unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_no_request() {
        let bench = Bench::new();
        let cache = bench.store().acquire("target").unwrap();
        fs::write(cache.path().with_file_name(NOTE), b"\xff torn").unwrap();
        assert!(!cache.give_back().unwrap());
        assert_eq!(bench.store().purge("target", bench.later()).unwrap().removed, 1);
    }
}
