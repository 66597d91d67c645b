//! The caches of one run, for plugins that give caches to tasks: what each of them would otherwise do in the same way.

use std::sync::Arc;

use super::{Cache, CacheStore};
use crate::blocking::blocking;
use crate::context::TaskContext;
use crate::error::{Error, Result};

/// The caches that a run uses. They are given back when this is dropped; [`give_back`](Self::give_back) also removes those that are
/// to be purged.
#[derive(Debug)]
pub struct RunCaches {
    store: CacheStore,
    task: Arc<TaskContext>,
    held: Vec<Cache>,
}

impl RunCaches {
    /// None yet.
    pub fn new(store: CacheStore, task: Arc<TaskContext>) -> Self {
        Self { store, task, held: Vec::new() }
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
        self.held.push(cache);
    }

    /// The task's code ended with a code of `onExitStatus.purgeCaches`: what it used is removed once it is given back. Until then it
    /// is there for others who want something of it, such as artifacts.
    ///
    /// # Errors
    /// [`Error::Worker`]: the disk does not obey.
    pub fn spoil(&self) -> Result<()> {
        for cache in &self.held {
            self.task.log().info(format!("purging cache {:?}, as onExitStatus.purgeCaches says", cache.name()));
            cache.spoil().map_err(|error| Error::worker_caused("cannot purge a cache", error))?;
        }
        Ok(())
    }

    /// Nothing of the task is left: give all of them back.
    pub async fn give_back(&mut self) {
        let is_touched = self.task.is_touched();
        for cache in self.held.drain(..) {
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
