//! `mounts`: content that is there when the user's code starts, and directories that outlive it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::ids::TaskId;

use crate::caches::{CacheStore, RunCaches};
use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxBuilder, Volume};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Puts files into the sandbox (an artifact of another task, or text of the payload) and mounts writable caches.
///
/// Each cache needs the scope `<cache scope><name>`. The task of a mounted artifact must be among the dependencies, so that
/// it has ended. Caches are purged after the exit codes of `onExitStatus.purgeCaches`.
#[derive(Debug)]
pub struct Mounts {
    caches: CacheStore,
    cache_scope: String,
}

impl Mounts {
    /// Keep caches in `caches`; using one takes the scope of `cache_scope` followed by its name.
    pub fn new(caches: CacheStore, cache_scope: impl Into<String>) -> Self {
        Self { caches, cache_scope: cache_scope.into() }
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<MountsPayload>()
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct MountsPayload {
    /// What is there when the commands start.
    mounts: Vec<Mount>,
    on_exit_status: PurgeOnExitStatus,
}

/// What to do for particular exit codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct PurgeOnExitStatus {
    /// Exit codes after which the caches that the run used are purged.
    #[schemars(inner(range(min = 0)))]
    purge_caches: BTreeSet<i32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Mount {
    File(FileMount),
    Cache(CacheMount),
}

/// A file with given content.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileMount {
    /// Where it is to be, relative to the task's directory.
    #[schemars(length(min = 1))]
    file: String,
    content: Content,
}

/// A directory that keeps what tasks write to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CacheMount {
    /// Where it is to be, relative to the task's directory.
    #[schemars(length(min = 1))]
    directory: String,
    /// Tasks that name the same cache find what former ones left.
    #[schemars(length(min = 1))]
    cache_name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Content {
    Artifact(ArtifactContent),
    Raw(RawContent),
}

/// An artifact of a task among the dependencies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ArtifactContent {
    /// The task whose latest run has it.
    #[schemars(with = "String", regex(pattern = "^[A-Za-z0-9_-]{22}$"))]
    task_id: TaskId,
    /// Name of the artifact.
    #[schemars(length(min = 1, max = 1024))]
    artifact: String,
    /// What its content must hash to.
    #[schemars(regex(pattern = "^[a-f0-9]{64}$"))]
    sha256: Option<String>,
}

/// The text itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawContent {
    /// Content of the file.
    #[schemars(length(max = 65536))]
    raw: String,
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
            payload: MountsPayload::default(),
            files: Vec::new(),
        })
    }
}

struct TaskMounts {
    task: Arc<TaskContext>,
    caches: RunCaches,
    cache_scope: String,
    payload: MountsPayload,
    files: Vec<(String, tempfile::TempPath)>,
}

#[async_trait]
impl TaskPlugin for TaskMounts {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.payload = payload.part()?;
        let errors: Vec<Error> = self.payload.mounts.iter().filter_map(|mount| self.objection(mount)).collect();
        if let Some(error) = Error::combine(errors) {
            return Err(error);
        }
        for mount in &self.payload.mounts {
            if let Mount::File(mount) = mount {
                let content = self.fetch(&mount.content).await?;
                self.files.push((mount.file.clone(), content));
            }
        }
        Ok(())
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        for (path, content) in &self.files {
            builder.add_file(path, content).await?;
        }
        self.files.clear();
        for mount in &self.payload.mounts {
            if let Mount::Cache(mount) = mount {
                let cache = self.caches.take(&mount.cache_name).await?;
                self.task.log().info(format!("using cache {:?} at {}", mount.cache_name, mount.directory));
                builder.mount_directory(&mount.directory, Volume::writable(cache.path())).await?;
                self.caches.hold(cache);
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
        self.caches.give_back().await;
    }
}

impl TaskMounts {
    fn objection(&self, mount: &Mount) -> Option<Error> {
        match mount {
            Mount::Cache(mount) => {
                let scope = format!("{}{}", self.cache_scope, mount.cache_name);
                let missing = !self.task.has_scope(&scope);
                missing.then(|| Error::payload(format!("the cache {:?} needs the scope {scope}", mount.cache_name)))
            }
            Mount::File(FileMount { content: Content::Artifact(content), .. }) => {
                let task_id = content.task_id;
                let unrelated = !self.task.dependencies().contains(&task_id);
                unrelated.then(|| {
                    Error::payload(format!(
                        "a mounted artifact is of task {task_id}, which is not among the dependencies: add it to `dependencies`"
                    ))
                })
            }
            Mount::File(FileMount { content: Content::Raw(_), .. }) => None,
        }
    }

    async fn fetch(&self, content: &Content) -> Result<tempfile::TempPath> {
        let failed = |error| Error::worker_caused("cannot write a mounted file", error);
        let mut file = tempfile::NamedTempFile::new_in(self.task.scratch()).map_err(failed)?;
        match content {
            Content::Raw(RawContent { raw }) => {
                file.write_all(raw.as_bytes()).map_err(failed)?;
                Ok(file.into_temp_path())
            }
            Content::Artifact(ArtifactContent { task_id, artifact, sha256 }) => {
                let path = file.into_temp_path();
                self.task.download(task_id, artifact, &path).await?;
                if let Some(expected) = sha256 {
                    check_hash(&path, expected, &format!("{task_id}/{artifact}")).await?;
                }
                Ok(path)
            }
        }
    }
}

async fn check_hash(path: &Path, expected: &str, what: &str) -> Result<()> {
    let path = path.to_owned();
    let hash = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        let mut file = std::fs::File::open(path)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    })
    .await
    .map_err(|error| Error::worker_caused("cannot hash a mounted file", error))?
    .map_err(|error| Error::worker_caused("cannot hash a mounted file", error))?;
    if hash == expected {
        Ok(())
    } else {
        Err(Error::payload(format!("the artifact {what} hashes to {hash}, not to {expected}")))
    }
}
