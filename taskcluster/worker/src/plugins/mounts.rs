//! `mounts`: content that is there when the user's code starts, and directories that outlive it.
//!
//! Content is fetched for each task anew, with the task's own scopes, into files of the worker's; nothing is held in memory. Then
//! it is unpacked, before any code of the task runs: what a mount becomes is [made](Made) while the engine prepares, and put
//! into the sandbox in the order of the payload. Only of a cache it is known later whether it has to be filled: once it is ours.
//!
//! Archives are the work of strangers: [`tree`] says how they are kept inside, [`MountLimits`] how large they may become.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::{TempDir, TempPath};

use crate::caches::{CacheStore, RunCaches};
use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxBuilder, Volume};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

mod budget;
mod content;
mod decode;
mod fill;
mod format;
mod payload;
mod tree;
mod unpack;
mod web;
mod work;

pub use budget::MountLimits;
use payload::{Mount, MountsPayload};
use work::Work;

/// Puts files and unpacked archives into the sandbox, and mounts caches.
///
/// | mount | what the task finds |
/// |---|---|
/// | `{file, content, format?}` | a file; with a format, what is left once that compression is undone |
/// | `{directory, content, format}` | an unpacked archive, for this task alone, which may change it where the engine cannot prevent that |
/// | `{directory, cacheName, content?, format?}` | what former tasks left; an empty cache is filled from the archive first |
///
/// Content is `{taskId, artifact, sha256?}`, `{namespace, artifact}`, `{url, sha256?}`, `{raw}` or `{base64}`. The task of a mounted
/// artifact must be among the dependencies, so that it has ended. Each cache needs the scope `<cache scope><name>`, and is purged
/// after the exit codes of `onExitStatus.purgeCaches`.
///
/// | feature of this crate | archives | compressed files |
/// |---|---|---|
/// | (always) | `tar`, `tar.gz`, `tar.zz` | `gz`, `zz` |
/// | `archives` | `7z`, `rar`, `zip`, and `tar.` with those of the next column | `br`, `bz2`, `lz`, `lz4`, `mz`, `sz`, `xz`, `zst` |
///
/// A format that is not built in is refused by its name. What does not exist, has another hash or cannot be unpacked is a
/// malformed payload; a server that is in trouble is not, nor is a disk without room.
#[derive(Debug)]
pub struct Mounts {
    caches: CacheStore,
    cache_scope: String,
    limits: MountLimits,
}

impl Mounts {
    /// Keep caches in `caches`; using one takes the scope of `cache_scope` followed by its name.
    pub fn new(caches: CacheStore, cache_scope: impl Into<String>) -> Self {
        Self { caches, cache_scope: cache_scope.into(), limits: MountLimits::default() }
    }

    /// Change how much a task may mount.
    #[must_use]
    pub fn limits(mut self, limits: MountLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<MountsPayload>()
    }
}

impl Plugin for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskMounts {
            task: task.clone(),
            caches: RunCaches::new(self.caches.clone(), task.clone()),
            cache_scope: self.cache_scope.clone(),
            work: Work::new(self.limits),
            payload: MountsPayload::default(),
            made: Vec::new(),
        })
    }
}

struct TaskMounts {
    task: Arc<TaskContext>,
    caches: RunCaches,
    cache_scope: String,
    work: Work,
    payload: MountsPayload,
    /// One for each of the mounts.
    made: Vec<Made>,
}

/// What a mount has become before there is a sandbox to put it in.
enum Made {
    File(TempPath),
    Directory(TempDir),
    /// Whether a cache has to be filled is known once it is ours.
    Nothing,
}

#[async_trait]
impl TaskPlugin for TaskMounts {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.payload = payload.part()?;
        let errors: Vec<Error> = self.payload.mounts.iter().flat_map(|mount| self.objections(mount)).collect();
        if let Some(error) = Error::combine(errors) {
            return Err(error);
        }
        for mount in &self.payload.mounts {
            let made = self.make(mount).await?;
            self.made.push(made);
        }
        Ok(())
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        for (mount, made) in self.payload.mounts.iter().zip(&self.made) {
            match made {
                Made::File(content) => builder.add_file(mount.place(), content).await?,
                Made::Directory(directory) => mount_for_reading(builder, mount.place(), directory).await?,
                Made::Nothing => {}
            }
            if let Mount::Cache(mount) = mount {
                let cache = self.caches.take(&mount.cache_name).await?;
                let path = cache.path().to_owned();
                self.caches.hold(cache);
                fill::cache(&self.task, &self.work, mount, &path).await?;
                self.task.log().info(format!("using cache {:?} at {}", mount.cache_name, mount.directory));
                builder.mount_directory(&mount.directory, Volume::writable(&path)).await?;
            }
        }
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let code = results.exit().code();
        if code.is_some_and(|code| self.payload.on_exit_status.purge_caches.contains(&code)) {
            self.caches.spoil()?;
        }
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        // Before anybody else may have what threads are at work on.
        self.work.end().await;
        self.made.clear();
        self.caches.give_back().await;
    }
}

impl TaskMounts {
    /// Everything that is wrong with a mount before anything is fetched.
    fn objections(&self, mount: &Mount) -> Vec<Error> {
        let scope = match mount {
            Mount::Cache(mount) => self.scope_missing(&mount.cache_name),
            Mount::File(_) | Mount::Directory(_) => None,
        };
        let content = mount.content().and_then(|content| content.objection(&self.task));
        let format = mount.format_not_built_in().map(|format| Error::payload(decode::not_built_in(&format)));
        scope.into_iter().chain(content).chain(format).collect()
    }

    fn scope_missing(&self, cache_name: &str) -> Option<Error> {
        let scope = format!("{}{cache_name}", self.cache_scope);
        let missing = !self.task.has_scope(&scope);
        missing.then(|| Error::payload(format!("the cache {cache_name:?} needs the scope {scope}")))
    }

    async fn make(&self, mount: &Mount) -> Result<Made> {
        match mount {
            Mount::File(mount) => fill::file(&self.task, &self.work, mount).await.map(Made::File),
            Mount::Directory(mount) => fill::directory(&self.task, &self.work, mount).await.map(Made::Directory),
            Mount::Cache(_) => Ok(Made::Nothing),
        }
    }
}

/// Where the engine cannot keep the task from writing, it gets the directory for its own: nobody else has it.
async fn mount_for_reading(builder: &mut dyn SandboxBuilder, path: &str, directory: &TempDir) -> Result<()> {
    match builder.mount_directory(path, Volume::read_only(directory.path())).await {
        Err(Error::Unsupported(_)) => builder.add_directory(path, directory.path()).await,
        end => end,
    }
}
