//! The caches of one run, for plugins that give caches to tasks: what each of them would otherwise do in the same way.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cache, CacheStore};
use crate::context::TaskContext;
use crate::error::{Error, Result};

/// What to do for particular exit codes: the part of a payload's `onExitStatus` that is about caches.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct PurgeOnExitStatus {
    /// Exit codes after which the caches that the run used are purged.
    #[schemars(inner(range(min = 0)))]
    pub purge_caches: BTreeSet<i32>,
}

/// The caches that a run uses. They are given back when this is dropped; [`give_back`](Self::give_back) also removes what was to
/// be purged meanwhile.
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

    /// Take an instance of a cache for this run, and say where it is. Whether the task may use it is for the caller to check.
    ///
    /// # Errors
    /// [`Error::Worker`]: the disk does not obey.
    pub async fn acquire(&mut self, name: &str) -> Result<PathBuf> {
        let (store, wanted) = (self.store.clone(), name.to_owned());
        let cache = blocking(move || store.acquire(&wanted)).await;
        let cache = cache.map_err(|error| Error::worker_caused(format!("cannot use the cache {name:?}"), error))?;
        let path = cache.path().to_owned();
        self.held.push(cache);
        Ok(path)
    }

    /// The task's code has ended: if this is a code for that, what it used is purged once it is given back. What others still
    /// want of it, such as artifacts, is there until then.
    ///
    /// # Errors
    /// [`Error::Worker`]: the disk does not obey.
    pub fn ended(&self, code: Option<i32>, on_exit_status: &PurgeOnExitStatus) -> Result<()> {
        if code.is_some_and(|code| on_exit_status.purge_caches.contains(&code)) {
            for cache in &self.held {
                self.task.log().info(format!("purging cache {:?}, as onExitStatus.purgeCaches says", cache.name()));
                cache.spoil().map_err(|error| Error::worker_caused("cannot purge a cache", error))?;
            }
        }
        Ok(())
    }

    /// Nothing of the task is left: give all of them back.
    pub async fn give_back(&mut self) {
        for cache in self.held.drain(..) {
            let name = cache.name().to_owned();
            match blocking(move || cache.give_back()).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(cache = name, "purged a cache that was in use"),
                // No fault of the task: what is left is not used again.
                Err(error) => tracing::warn!(cache = name, %error, "cannot remove a cache that is to be purged"),
            }
        }
    }
}

/// Something slow, where it keeps nobody waiting.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
