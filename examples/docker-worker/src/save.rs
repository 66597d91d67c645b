//! `features.dockerSave`: what a task's container has become, as an image to look into, and what its caches hold, as archives.
//!
//! Nothing is held in memory: what Docker gives is compressed into a file of the worker's own as it comes, and uploaded from there.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, TryStreamExt};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use taskcluster_core::time::Timestamp;
use taskcluster_worker::artifacts::{ArtifactLimits, Upload};
use taskcluster_worker::engine::{Missing, ResultSet};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::{Payload, PayloadPart, Plugin, TaskContext, TaskPlugin, Verdict};
use tempfile::{NamedTempFile, TempPath};

use crate::container::{absolute, name_of};
use crate::docker::{Docker, is_not_found};
use crate::image::{self, hex};
use crate::leftovers::{Mark, remove_image};
use crate::pipe;

/// The artifact that is the container, as `docker save` writes an image.
const IMAGE: &str = "public/dockerImage.tar";

/// For how long it is kept, unless the task itself goes before.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Saves the containers of tasks that ask for it. To be listed before whoever signs for artifacts.
#[derive(Clone, Debug)]
pub(crate) struct DockerSave {
    docker: Docker,
    mark: Mark,
    /// Where Docker keeps what it has, if that can be looked at from here.
    store: Option<PathBuf>,
    allowed: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct SavePayload {
    // Declared once, where they are mounted.
    #[schemars(skip)]
    cache: BTreeMap<String, String>,
    features: SaveFeature,
}

/// What the worker adds to the task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct SaveFeature {
    /// Whether the container becomes an image once it has ended, and what is in its caches an archive: the artifacts
    /// `public/dockerImage.tar` and `public/cache/<name>.tar`, kept for seven days at most.
    docker_save: bool,
}

impl DockerSave {
    pub(crate) fn new(docker: Docker, mark: Mark, store: Option<PathBuf>, allowed: bool) -> Self {
        Self { docker, mark, store, allowed }
    }

    /// What it reads of the payload.
    pub(crate) fn payload_part() -> PayloadPart {
        PayloadPart::of::<SavePayload>()
    }
}

impl Plugin for DockerSave {
    fn name(&self) -> &'static str {
        "docker-save"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskSave { task: task.clone(), save: self.clone(), payload: SavePayload::default() })
    }
}

struct TaskSave {
    task: Arc<TaskContext>,
    save: DockerSave,
    payload: SavePayload,
}

/// A file that is compressed, and the SHA-256 of what it was before.
type Packed = (TempPath, String);

#[async_trait]
impl TaskPlugin for TaskSave {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.payload = payload.part()?;
        if !self.payload.features.docker_save {
            return Ok(());
        }
        if !self.save.allowed {
            return Err(Error::payload("payload/features/dockerSave is not allowed by this worker"));
        }
        let names = self.payload.cache.keys().map(|name| artifact_of_cache(name)).chain([IMAGE.to_owned()]);
        let errors = names.filter_map(|name| self.task.reserve_artifact(&name).err()).collect();
        Error::combine(errors).map_or(Ok(()), Err)
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        if !self.payload.features.docker_save {
            return Ok(Verdict::Good);
        }
        let mut errors = Vec::new();
        let expires = expires(self.task.clock().now(), self.task.expires());
        self.task.log().info(format!("saving the container as {IMAGE}"));
        errors.extend(self.keep(IMAGE, self.image().await, expires).await.err());
        for (cache, path) in &self.payload.cache {
            errors.extend(self.keep(&artifact_of_cache(cache), self.directory(path).await, expires).await.err());
        }
        Error::combine(errors).map_or(Ok(Verdict::Good), Err)
    }
}

fn artifact_of_cache(name: &str) -> String {
    format!("public/cache/{name}.tar")
}

impl TaskSave {
    /// The container as an image, which Docker has only meanwhile.
    async fn image(&self) -> Result<Result<Packed, Missing>> {
        let DockerSave { docker, mark, .. } = &self.save;
        let (task_id, run_id) = (self.task.task_id(), self.task.run_id());
        let passing = Passing { docker: docker.clone(), name: Some(mark.image_name(&format!("{task_id}/{run_id}"))) };
        let name = passing.name.clone().unwrap_or_default();
        if let Err(missing) = self.allow_commit().await? {
            return Ok(Err(missing));
        }
        docker.commit(&name_of(&self.task), &name).await?;
        let chunks = docker.api.export_image(&name).map_err(io::Error::other);
        // The worker's own name for it says nothing to others.
        let shown = format!("taskcluster-saved:task-{task_id}-{run_id}");
        let packed = self.pack("the image", chunks, move |from, to| image::rename(from, to, &shown)).await;
        passing.remove().await;
        packed
    }

    /// Docker writes out what a container has written, also files that are mostly holes, however large they are.
    async fn allow_commit(&self) -> Result<Result<(), Missing>> {
        let (limits, what) = (self.task.artifact_limits(), "what the container has written");
        let bytes = self.save.docker.written_by(&name_of(&self.task)).await?;
        Ok(match &self.save.store {
            Some(store) => limits.allow_copy(what, bytes, store),
            None => limits.allow(what, bytes),
        })
    }

    /// A directory of the container.
    async fn directory(&self, path: &str) -> Result<Result<Packed, Missing>> {
        let docker = &self.save.docker;
        let container = name_of(&self.task);
        let full = if path.starts_with('/') {
            path.to_owned()
        } else {
            absolute(&docker.working_dir(&container).await?, path)
        };
        // What is in it, not the directory itself.
        let options = DownloadFromContainerOptionsBuilder::new().path(&format!("{full}/.")).build();
        let chunks = docker.api.download_from_container(&container, Some(options)).map_err(|error| {
            if is_not_found(&error) { io::ErrorKind::NotFound.into() } else { io::Error::other(error) }
        });
        self.pack(path, chunks, |from, to| io::copy(from, to).map(drop)).await
    }

    async fn pack(
        &self,
        what: &str,
        chunks: impl Stream<Item = io::Result<Bytes>> + Send,
        copy: impl FnOnce(&mut dyn Read, &mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<Result<Packed, Missing>> {
        let (scratch, limits) = (self.task.scratch().to_owned(), self.task.artifact_limits());
        let named = what.to_owned();
        let packing = pipe::read_from_stream(chunks, move |from| {
            let file = NamedTempFile::new_in(&scratch)?;
            let bounded = Bounded { to: file.reopen()?, what: named, limits, folder: scratch, written: 0 };
            let most = ArtifactLimits::default().with_each(limits.all).with_all(limits.all);
            let (what, encoder) = (bounded.what.clone(), GzEncoder::new(bounded, Compression::fast()));
            let mut to = Hashing { to: encoder, hash: Sha256::new(), what, most, passed: 0 };
            copy(from, &mut to)?;
            to.to.finish()?;
            Ok((file.into_temp_path(), hex(&to.hash.finalize())))
        });
        match packing.await {
            Ok(packed) => Ok(Ok(packed)),
            Err(error) => match error.downcast::<Missing>() {
                Ok(missing) => Ok(Err(missing)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(Missing::NotFound(what.to_owned()))),
                Err(error) => Err(Error::worker_caused(format!("cannot save {what}"), error)),
            },
        }
    }

    async fn keep(&self, name: &str, packed: Result<Result<Packed, Missing>>, expires: Timestamp) -> Result<()> {
        match packed? {
            Ok((file, sha256)) => {
                let upload = Upload::new(&*file).gzipped(sha256).content_type("application/x-tar").expires(expires);
                self.task.upload(name, &upload).await
            }
            Err(missing) => {
                self.task.log().error(format!("artifact {name:?}: {missing}"));
                self.task.create_error_artifact(name, &missing, Some(expires)).await
            }
        }
    }
}

fn expires(now: Timestamp, task: Timestamp) -> Timestamp {
    task.min(now + KEPT)
}

/// An image that goes with the run. What a process that ends could not remove is found by its name at the next start.
struct Passing {
    docker: Docker,
    name: Option<String>,
}

impl Passing {
    async fn remove(mut self) {
        if let Some(name) = self.name.take() {
            forget(&self.docker, &name).await;
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(name) = self.name.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let docker = self.docker.clone();
            runtime.spawn(async move { forget(&docker, &name).await });
        }
    }
}

async fn forget(docker: &Docker, name: &str) {
    if let Err(error) = remove_image(docker, name).await {
        tracing::error!(image = name, error = error.reasons().join("; "), "cannot remove the image of a container");
    }
}

/// Bytes between two looks at the disk.
const STRIDE: u64 = 64 << 20;

/// Fails with [`Missing::TooLarge`] instead of writing more than an artifact may have, or than there is room for.
struct Bounded<W> {
    to: W,
    what: String,
    limits: ArtifactLimits,
    folder: PathBuf,
    written: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.written;
        let after = before + bytes.len() as u64;
        let mut allowed = self.limits.allow(&self.what, after);
        if allowed.is_ok() && (before == 0 || before / STRIDE != after / STRIDE) {
            allowed = self.limits.allow_copy(&self.what, STRIDE.min(self.limits.each), &self.folder);
        }
        allowed.map_err(io::Error::other)?;
        let written = self.to.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Passes on as much as all artifacts may have together: files of holes take long to read, and little room.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    what: String,
    most: ArtifactLimits,
    passed: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.most.allow(&self.what, self.passed + bytes.len() as u64).map_err(io::Error::other)?;
        let written = self.to.write(bytes)?;
        self.passed += written as u64;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_after_a_week_or_with_the_task() {
        let at = |days: i64| Timestamp::from_millis(days * 24 * 60 * 60 * 1000);
        assert_eq!((expires(at(0), at(365)), expires(at(1), at(2))), (at(7), at(2)));
    }

    #[test]
    fn no_more_is_written_than_an_artifact_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let limits = ArtifactLimits::default().with_each(10);
        let mut to =
            Bounded { to: Vec::new(), what: "it".to_owned(), limits, folder: dir.path().to_owned(), written: 0 };
        to.write_all(&[0; 10]).unwrap();
        let error = to.write_all(&[0; 1]).unwrap_err();
        assert!(matches!(error.downcast::<Missing>(), Ok(Missing::TooLarge(_))));
        assert_eq!(to.to.len(), 10);
    }
}
