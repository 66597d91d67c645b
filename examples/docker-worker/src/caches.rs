//! `cache`: directories that keep what tasks write to them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_worker::caches::{CacheStore, RunCaches};
use taskcluster_worker::engine::{ResultSet, SandboxBuilder, Volume};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::{Payload, PayloadPart, Plugin, TaskContext, TaskPlugin, Verdict};

/// Mounts the caches that a task names. Each takes the scope `docker-worker:cache:<name>`, or the same followed by `:` and the
/// task queue.
#[derive(Debug)]
pub struct Caches {
    store: CacheStore,
}

impl Caches {
    /// Keep them in `store`.
    #[must_use]
    pub fn new(store: CacheStore) -> Self {
        Self { store }
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<CachesPayload>()
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct CachesPayload {
    /// Where in the container caches are to be, by their names. Tasks that name the same cache find what former ones left.
    cache: BTreeMap<String, String>,
    on_exit_status: PurgeOnExitStatus,
}

/// What to do for particular exit codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct PurgeOnExitStatus {
    /// Exit codes after which the caches that the run used are purged.
    purge_caches: Vec<i64>,
}

impl Plugin for Caches {
    fn name(&self) -> &'static str {
        "caches"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        let caches = RunCaches::new(self.store.clone(), task.clone());
        Box::new(TaskCaches { task: task.clone(), caches, payload: CachesPayload::default() })
    }
}

struct TaskCaches {
    task: Arc<TaskContext>,
    caches: RunCaches,
    payload: CachesPayload,
}

#[async_trait]
impl TaskPlugin for TaskCaches {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.payload = payload.part()?;
        let reasons: Vec<String> = self.payload.cache.keys().filter_map(|name| self.objection(name)).collect();
        if reasons.is_empty() { Ok(()) } else { Err(Error::Payload(reasons)) }
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        for (name, path) in &self.payload.cache {
            let cache = self.caches.take(name).await?;
            // Whoever the image's user is; the directory of caches keeps others of this machine out.
            std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o777))
                .map_err(|error| Error::worker_caused(format!("cannot use the cache {name:?}"), error))?;
            self.task.log().info(format!("using cache {name:?} at {path}"));
            builder.mount_directory(path, Volume::writable(cache.path())).await?;
            self.caches.hold(cache);
        }
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let listed = |code: i32| self.payload.on_exit_status.purge_caches.contains(&i64::from(code));
        if results.exit().code().is_some_and(listed) {
            self.caches.spoil()?;
        }
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        self.caches.give_back().await;
    }
}

impl TaskCaches {
    fn objection(&self, name: &str) -> Option<String> {
        if name.contains("::") {
            return Some(format!("payload/cache: the name {name:?} contains \"::\""));
        }
        let scope = format!("docker-worker:cache:{name}");
        let of_pool = format!("{scope}:{}", self.task.identity().task_queue_id);
        let may = self.task.has_scope(&scope) || self.task.has_scope(&of_pool);
        (!may).then(|| format!("the cache {name:?} needs the scope {scope}"))
    }
}
