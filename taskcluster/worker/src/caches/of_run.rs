//! The caches of one run, for plugins that give caches to tasks: what each of them would otherwise do in the same way.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{Cache, CacheStore};
use crate::blocking::blocking;
use crate::context::TaskContext;
use crate::error::{Error, Result};

/// The caches that a run uses. They are given back when this is dropped; [`give_back`](Self::give_back) also removes those that are
/// to be purged.
///
/// Whoever [touches](TaskContext::touch) the run spoils them at that moment: nobody may live to do it when they are given back.
#[derive(Debug)]
pub struct RunCaches {
    store: CacheStore,
    task: Arc<TaskContext>,
    held: Arc<Held>,
}

/// What is held, reached by the run's plugin and by whoever touches the run.
#[derive(Debug, Default)]
struct Held(Mutex<Vec<Cache>>);

impl Held {
    fn caches(&self) -> MutexGuard<'_, Vec<Cache>> {
        self.0.lock().expect("nothing panics holding it")
    }
}

impl RunCaches {
    /// None yet.
    pub fn new(store: CacheStore, task: Arc<TaskContext>) -> Self {
        let held = Arc::<Held>::default();
        let touched = Arc::downgrade(&held);
        task.on_touch(move || {
            let Some(held) = touched.upgrade() else { return Ok(()) };
            held.caches().iter().try_for_each(Cache::spoil)
        });
        Self { store, task, held }
    }

    /// Take an instance of a cache for this run: to furnish it, then to [`hold`](Self::hold) it. Whether the task may use it is for
    /// the caller to check.
    ///
    /// # Errors
    /// [`Error::Worker`]: the disk does not obey.
    pub async fn take(&self, name: &str) -> Result<Cache> {
        let (store, wanted) = (self.store.clone(), name.to_owned());
        let cache = blocking(move || store.acquire(&wanted)).await;
        cache.map_err(|error| Error::worker_caused(format!("cannot use the cache {name:?}"), error))
    }

    /// Keep an instance until the run is over.
    pub fn hold(&mut self, cache: Cache) {
        self.held.caches().push(cache);
    }

    /// The task's code ended with a code of `onExitStatus.purgeCaches`: what it used is removed once it is given back. Until then it
    /// is there for others who want something of it, such as artifacts.
    ///
    /// # Errors
    /// [`Error::Worker`]: the disk does not obey.
    pub fn spoil(&self) -> Result<()> {
        for cache in self.held.caches().iter() {
            self.task.log().info(format!("purging cache {:?}, as onExitStatus.purgeCaches says", cache.name()));
            cache.spoil().map_err(|error| Error::worker_caused("cannot purge a cache", error))?;
        }
        Ok(())
    }

    /// Nothing of the task is left: give all of them back.
    pub async fn give_back(&mut self) {
        let held = std::mem::take(&mut *self.held.caches());
        let is_touched = self.task.is_touched();
        for cache in held {
            let name = cache.name().to_owned();
            let give_back = move || {
                if is_touched {
                    cache.spoil()?;
                }
                cache.give_back()
            };
            match blocking(give_back).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(cache = name, "purged a cache after its use"),
                // No fault of the task: what is left is not used again.
                Err(error) => tracing::warn!(cache = name, %error, "cannot remove a cache that is to be purged"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run_without_queue, task_with_payload};

    #[tokio::test]
    async fn a_cache_of_a_run_that_was_touched_is_not_kept_when_nobody_lives_to_give_it_back() {
        for is_touched in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let task = run_without_queue(dir.path(), task_with_payload(&serde_json::Map::new())).unwrap();
            let store = CacheStore::open(dir.path().join("caches")).unwrap();
            let mut caches = RunCaches::new(store.clone(), task.clone());
            let cache = caches.take("target").await.unwrap();
            let file = cache.path().join("object");
            std::fs::write(&file, "built").unwrap();
            caches.hold(cache);
            if is_touched {
                task.touch().unwrap();
            }
            assert!(file.exists(), "it is still in use");
            // As by a kill: the lock goes with the process, and nothing else is done.
            drop(caches);
            let again = store.acquire("target").unwrap();
            assert_eq!(again.path(), file.parent().unwrap());
            assert_eq!(file.exists(), !is_touched);
        }
    }

    #[tokio::test]
    async fn a_cache_that_comes_after_the_touch_is_not_kept_either() {
        let dir = tempfile::tempdir().unwrap();
        let task = run_without_queue(dir.path(), task_with_payload(&serde_json::Map::new())).unwrap();
        let store = CacheStore::open(dir.path().join("caches")).unwrap();
        let mut caches = RunCaches::new(store.clone(), task.clone());
        task.touch().unwrap();
        let cache = caches.take("target").await.unwrap();
        let file = cache.path().join("object");
        std::fs::write(&file, "built").unwrap();
        caches.hold(cache);
        caches.give_back().await;
        drop(store.acquire("target").unwrap());
        assert!(!file.exists());
    }
}
