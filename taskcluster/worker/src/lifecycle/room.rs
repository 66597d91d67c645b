//! Room on the disk, before anything is claimed: a task that finds the disk full fails through no fault of its own.
//!
//! What the engine keeps, such as images, goes before caches: it is only fetched again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::blocking::blocking;
use crate::caches::CacheStore;
use crate::engine::Engine;
use crate::events::Event;
use crate::worker::Inner;

/// Wait until there is room, and remove what nobody uses for it. It is said once that there is none.
pub(super) async fn wait(inner: &Inner) {
    let settings = &inner.settings;
    if settings.required_disk_space == 0 {
        return;
    }
    let guard = Guard {
        required: settings.required_disk_space,
        work_dir: settings.work_dir.clone(),
        caches: inner.caches.clone(),
        store: inner.engine.store().map(Path::to_owned),
    };
    let mut said = false;
    while let Some(short) = guard.step(&*inner.engine).await {
        if !said {
            tracing::error!(error = %short, "no tasks are claimed until there is room on the disk");
            inner.emit(Event::Trouble { message: short.to_string() });
            said = true;
        }
        inner.clock.sleep(settings.backoff).await;
    }
    if said {
        tracing::info!("there is room on the disk again");
    }
}

/// What is looked at.
#[derive(Clone, Debug)]
struct Guard {
    required: u64,
    work_dir: PathBuf,
    caches: Option<CacheStore>,
    /// Of the engine.
    store: Option<PathBuf>,
}

/// A disk that is too full.
#[derive(Debug, PartialEq, Eq)]
struct Short {
    path: PathBuf,
    free: u64,
    required: u64,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, mega) = (self.path.display(), |bytes: u64| bytes / (1 << 20));
        write!(f, "the disk of {path} has {} MiB free; {} MiB are required", mega(self.free), mega(self.required))
    }
}

impl Guard {
    /// A disk that is short although all was removed that could be. One that cannot be looked at is not: tasks show what it is good
    /// for.
    async fn step(&self, engine: &dyn Engine) -> Option<Short> {
        if let Some(store) = &self.store {
            self.make_room_in(store, engine, free).await;
        }
        let guard = self.clone();
        blocking(move || guard.make_room(free)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot see whether there is room on the disk");
            None
        })
    }

    /// Have the engine remove one thing after the other until there is room where it keeps them, or nothing is left.
    async fn make_room_in(&self, store: &Path, engine: &dyn Engine, free: impl Fn(&Path) -> io::Result<u64>) {
        let mut removed = 0;
        while free(store).is_ok_and(|free| free < self.required) {
            match engine.make_room().await {
                Ok(true) => removed += 1,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(error = error.reasons().join("; "), "the engine cannot make room on the disk");
                    break;
                }
            }
        }
        if removed > 0 {
            tracing::info!(engine = engine.name(), removed, "the engine has made room on the disk");
        }
    }

    fn make_room(&self, free: impl Fn(&Path) -> io::Result<u64>) -> io::Result<Option<Short>> {
        if let Some(caches) = &self.caches {
            // Caches make room only where they are.
            let removed = caches.make_room(|| Ok(free(caches.root())? >= self.required))?;
            if removed > 0 {
                tracing::info!(caches = removed, "removed caches to make room on the disk");
            }
        }
        let caches = self.caches.as_ref().map(CacheStore::root);
        for path in [Some(&*self.work_dir), caches, self.store.as_deref()].into_iter().flatten() {
            let free = free(path)?;
            if free < self.required {
                return Ok(Some(Short { path: path.to_owned(), free, required: self.required }));
            }
        }
        Ok(None)
    }
}

/// The bytes that are free on the disk of `path`, for others than root.
fn free(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::context::TaskContext;
    use crate::engine::SandboxBuilder;
    use crate::error::{Error, Result};
    use crate::payload::{Payload, PayloadPart};

    struct Bench {
        dir: tempfile::TempDir,
        guard: Guard,
    }

    impl Bench {
        /// Two caches, and 100 bytes required.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let caches = CacheStore::open(dir.path().join("caches")).unwrap();
            for name in ["a", "b"] {
                drop(caches.acquire(name).unwrap());
            }
            let guard = Guard { required: 100, work_dir: dir.path().to_owned(), caches: Some(caches), store: None };
            Self { dir, guard }
        }

        fn caches(&self) -> u64 {
            ["a", "b"].iter().filter(|name| self.dir.path().join("caches").join(name).join("0").exists()).count() as u64
        }
    }

    #[test]
    fn caches_are_removed_until_there_is_room() {
        let bench = Bench::new();
        assert_eq!(bench.guard.make_room(|_| Ok(100)).unwrap(), None);
        assert_eq!(bench.caches(), 2);
        assert_eq!(bench.guard.make_room(|_| Ok(60 + 40 * (2 - bench.caches()))).unwrap(), None);
        assert_eq!(bench.caches(), 1);
    }

    #[test]
    fn a_disk_that_stays_too_full_is_named() {
        let bench = Bench::new();
        let short = bench.guard.make_room(|_| Ok(99)).unwrap().unwrap();
        assert_eq!((short.path.as_path(), short.free, bench.caches()), (bench.dir.path(), 99, 0));
    }

    #[test]
    fn caches_on_another_disk_stay() {
        let bench = Bench::new();
        let on_disk = |path: &Path| Ok(if path.ends_with("caches") { 1000 } else { 10 });
        assert!(bench.guard.make_room(on_disk).unwrap().is_some());
        assert_eq!(bench.caches(), 2);
    }

    /// An engine that keeps so many things.
    #[derive(Debug)]
    struct Keeper(AtomicU64);

    #[async_trait::async_trait]
    impl Engine for Keeper {
        fn name(&self) -> &'static str {
            "keeper"
        }

        fn payload(&self) -> PayloadPart {
            PayloadPart::empty()
        }

        async fn make_room(&self) -> Result<bool> {
            Ok(self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |things| things.checked_sub(1)).is_ok())
        }

        async fn prepare(&self, _task: &Arc<TaskContext>, _payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
            Err(Error::Unsupported("anything"))
        }
    }

    #[tokio::test]
    async fn the_engine_removes_as_much_as_need_be_and_no_more() {
        let bench = Bench::new();
        let engine = Keeper(3.into());
        let store = bench.dir.path().to_owned();
        let free = |_: &Path| Ok(100 - 10 * engine.0.load(Ordering::SeqCst));
        let guard = Guard { required: 80, ..bench.guard.clone() };
        guard.make_room_in(&store, &engine, free).await;
        assert_eq!(engine.0.load(Ordering::SeqCst), 2);
        let guard = Guard { required: 1000, ..bench.guard.clone() };
        guard.make_room_in(&store, &engine, free).await;
        assert_eq!(engine.0.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_store_that_stays_too_full_is_named() {
        let bench = Bench::new();
        let guard =
            Guard { store: Some(bench.dir.path().into()), required: u64::MAX, caches: None, ..bench.guard.clone() };
        assert!(guard.step(&Keeper(1.into())).await.is_some());
    }

    #[test]
    fn a_real_disk_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free(dir.path()).is_ok());
        assert!(free(&dir.path().join("nothing")).is_err());
    }
}
