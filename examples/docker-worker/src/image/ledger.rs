//! Which images the worker brought in, and when each was last used: kept in a file, so that a worker that is killed still knows
//! which are its own to remove.
//!
//! A name is written down before anything is fetched under it. What was being fetched when the worker was killed is so found
//! again, and nothing that somebody else put there is ever taken for ours.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use taskcluster_core::time::Timestamp;

/// The images of one worker.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Where it is kept; nowhere: nothing is remembered, and so nothing removed.
    path: Option<PathBuf>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    kept: Kept,
    /// How many runs use an image now, by its id.
    uses: HashMap<String, usize>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// By the images' ids.
    images: BTreeMap<String, Entry>,
    /// Names under which images were being fetched, that had none before.
    coming: BTreeSet<String>,
}

/// An image that the worker brought in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The names that the worker gave it, or got it by. None is left where they mean another one now.
    pub(super) names: BTreeSet<String>,
    used: Timestamp,
}

/// Keeps an image from being removed until it is dropped.
#[derive(Debug)]
pub(crate) struct Use {
    ledger: Arc<Ledger>,
    id: String,
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        if let Some(uses) = books.uses.get_mut(&self.id) {
            *uses -= 1;
            if *uses == 0 {
                books.uses.remove(&self.id);
            }
        }
    }
}

impl Ledger {
    /// What is kept in the file at `path`, if there is one. One that cannot be read is begun anew: then what it knew stays for ever.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let kept = path.as_deref().map_or_else(Kept::default, |path| {
            read(path).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "it is not known any more which images are the worker's own");
                Kept::default()
            })
        });
        Self { path, books: Mutex::new(Books { kept, uses: HashMap::new() }) }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("nothing panics holding it")
    }

    /// An image is about to be fetched under a name that nothing has. Blocks until that is on the disk.
    ///
    /// # Errors
    /// It cannot be written down: then nothing may be fetched.
    pub(super) fn announce(&self, name: &str) -> io::Result<()> {
        let mut books = self.books();
        if books.kept.coming.insert(name.to_owned()) { self.write(&books.kept, true) } else { Ok(()) }
    }

    /// Names that were announced, and of which nothing was heard since.
    pub(super) fn announced(&self) -> Vec<String> {
        self.books().kept.coming.iter().cloned().collect()
    }

    /// Nothing came of it.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(super) fn forget_announced(&self, name: &str) -> io::Result<()> {
        let mut books = self.books();
        if books.kept.coming.remove(name) { self.write(&books.kept, false) } else { Ok(()) }
    }

    /// Whether the worker brought in what the name means, or is about to.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        let books = self.books();
        books.kept.coming.contains(name) || books.kept.images.values().any(|entry| entry.names.contains(name))
    }

    /// `names` mean this image now, which the worker has fetched; another one that they meant has them no more.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(super) fn came(&self, id: &str, names: &[String], now: Timestamp) -> io::Result<()> {
        let mut books = self.books();
        for name in names {
            books.kept.coming.remove(name);
            for entry in books.kept.images.values_mut() {
                entry.names.remove(name);
            }
        }
        let fresh = || Entry { names: BTreeSet::new(), used: now };
        let entry = books.kept.images.entry(id.to_owned()).or_insert_with(fresh);
        entry.names.extend(names.iter().cloned());
        entry.used = now;
        self.write(&books.kept, true)
    }

    /// A run uses an image from now on, whoever brought it in.
    pub(super) fn in_use(self: &Arc<Self>, id: &str, now: Timestamp) -> Use {
        let mut books = self.books();
        *books.uses.entry(id.to_owned()).or_default() += 1;
        if let Some(entry) = books.kept.images.get_mut(id) {
            entry.used = now;
            if let Err(error) = self.write(&books.kept, false) {
                tracing::warn!(%error, image = id, "cannot note that an image is used");
            }
        }
        Use { ledger: self.clone(), id: id.to_owned() }
    }

    /// Whether a run uses it.
    pub(super) fn is_in_use(&self, id: &str) -> bool {
        self.books().uses.contains_key(id)
    }

    /// The images that no run uses, the least recently used first.
    pub(super) fn unused(&self) -> Vec<(String, Entry)> {
        let books = self.books();
        let unused = books.kept.images.iter().filter(|(id, _)| !books.uses.contains_key(*id));
        let mut unused: Vec<(String, Entry)> = unused.map(|(id, entry)| (id.clone(), entry.clone())).collect();
        unused.sort_by_key(|(_, entry)| entry.used);
        unused
    }

    /// It is gone.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(super) fn removed(&self, id: &str) -> io::Result<()> {
        let mut books = self.books();
        if books.kept.images.remove(id).is_some() { self.write(&books.kept, false) } else { Ok(()) }
    }

    /// Replace the file in one go. `sync`: also when the machine fails.
    fn write(&self, kept: &Kept, sync: bool) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, kept)?;
        if sync {
            file.as_file().sync_data()?;
        }
        file.persist(path)?;
        if sync { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        ledger: Arc<Ledger>,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ledger = Arc::new(Ledger::open(Some(dir.path().join("work/images.json"))));
            Self { dir, ledger }
        }

        /// As after a kill.
        fn again(&self) -> Arc<Ledger> {
            Arc::new(Ledger::open(Some(self.dir.path().join("work/images.json"))))
        }

        fn came(&self, id: &str, names: &[&str], second: i64) {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            self.ledger.came(id, &names, at(second)).unwrap();
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn ids(ledger: &Ledger) -> Vec<String> {
        ledger.unused().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn the_order_of_use_outlives_a_kill() {
        let bench = Bench::new();
        for (id, second) in [("a", 1), ("b", 2), ("c", 3)] {
            bench.came(id, &[&format!("{id}:1")], second);
        }
        drop(bench.ledger.in_use("a", at(4)));
        assert_eq!(ids(&bench.again()), ["b", "c", "a"]);
        bench.ledger.removed("b").unwrap();
        assert_eq!(ids(&bench.again()), ["c", "a"]);
    }

    #[test]
    fn what_a_run_uses_is_not_unused() {
        let bench = Bench::new();
        bench.came("a", &["a:1"], 1);
        let (first, second) = (bench.ledger.in_use("a", at(2)), bench.ledger.in_use("a", at(3)));
        drop(first);
        assert_eq!(ids(&bench.ledger), [""; 0]);
        drop(second);
        assert_eq!(ids(&bench.ledger), ["a"]);
        assert!(!bench.ledger.is_ours("nobody:1"));
        drop(bench.ledger.in_use("of-somebody-else", at(4)));
        assert_eq!(ids(&bench.ledger), ["a"], "using an image makes it nobody's own");
    }

    #[test]
    fn what_was_coming_when_the_worker_was_killed_is_still_its_own() {
        let bench = Bench::new();
        bench.ledger.announce("a:1").unwrap();
        let again = bench.again();
        assert!(again.is_ours("a:1"));
        assert_eq!(again.announced(), ["a:1"]);
        again.came("a", &["a:1".to_owned()], at(1)).unwrap();
        assert_eq!((again.announced().len(), ids(&bench.again())), (0, vec!["a".to_owned()]));
        again.announce("b:1").unwrap();
        again.forget_announced("b:1").unwrap();
        assert!(!bench.again().is_ours("b:1"));
    }

    #[test]
    fn a_name_that_moves_leaves_the_old_image_without() {
        let bench = Bench::new();
        bench.came("old", &["a:1"], 1);
        bench.came("new", &["a:1"], 2);
        let names: Vec<usize> = bench.ledger.unused().iter().map(|(_, entry)| entry.names.len()).collect();
        assert_eq!((ids(&bench.ledger), names), (vec!["old".to_owned(), "new".to_owned()], vec![0, 1]));
    }

    #[test]
    fn a_file_that_is_damaged_is_begun_anew() {
        let bench = Bench::new();
        bench.came("a", &["a:1"], 1);
        std::fs::write(bench.dir.path().join("work/images.json"), "{").unwrap();
        assert_eq!(ids(&bench.again()), [""; 0]);
    }
}
