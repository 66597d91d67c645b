//! Content, fetched into a file of the worker's own.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use taskcluster::artifacts::Downloaded;
use taskcluster::index::Index;
use taskcluster_core::chain;
use taskcluster_core::ids::TaskId;
use tempfile::TempPath;
use url::Url;

use super::budget::{Budget, Fault};
use super::decode::decoder;
use super::format::Compression;
use super::payload::{ArtifactContent, Base64Content, Content, IndexedContent, RawContent, UrlContent};
use super::tree::NewFile;
use super::unpack::Stored;
use super::web;
use super::work::Work;
use crate::artifacts;
use crate::context::TaskContext;
use crate::error::{Error, Result};

impl Content {
    /// Why a task may not have it, as far as that is known before it is fetched.
    pub(super) fn objection(&self, task: &TaskContext) -> Option<Error> {
        match self {
            Self::Artifact(ArtifactContent { task_id, .. }) if !task.dependencies().contains(task_id) => {
                Some(Error::payload(format!(
                    "a mounted artifact is of task {task_id}, which is not among the dependencies: add it to `dependencies`"
                )))
            }
            Self::Url(content) => content.parse().err(),
            Self::Base64(content) => content.decode().err(),
            Self::Artifact(_) | Self::Indexed(_) | Self::Raw(_) => None,
        }
    }
}

impl UrlContent {
    fn parse(&self) -> Result<Url> {
        let refuse = |why: &str| Error::payload(format!("cannot mount {}: {why}", self.url));
        let url = Url::parse(&self.url).map_err(|error| refuse(&error.to_string()))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            _ => Err(refuse("it begins with neither http: nor https:")),
        }
    }
}

impl Base64Content {
    fn decode(&self) -> Result<Vec<u8>> {
        let decoded = BASE64_STANDARD.decode(&self.base64);
        decoded.map_err(|error| Error::payload(format!("the base64 of a mount cannot be decoded: {error}")))
    }
}

/// Fetch content into a file that lives as long as what is returned.
pub(super) async fn fetch(task: &TaskContext, work: &Work, content: &Content) -> Result<TempPath> {
    let mut file = tempfile::NamedTempFile::new_in(task.scratch()).map_err(Fault::Disk)?;
    match content {
        Content::Raw(RawContent { raw }) => file.write_all(raw.as_bytes()).map_err(Fault::Disk)?,
        Content::Base64(content) => file.write_all(&content.decode()?).map_err(Fault::Disk)?,
        Content::Artifact(content) => {
            let ArtifactContent { task_id, artifact, sha256 } = content;
            artifact_of(task, work, *task_id, artifact, sha256.as_deref(), file.path()).await?;
        }
        Content::Indexed(IndexedContent { namespace, artifact }) => {
            let task_id = indexed(task, namespace).await?;
            task.log().info(format!("the index has task {task_id} under {namespace:?}"));
            artifact_of(task, work, task_id, artifact, None, file.path()).await?;
        }
        Content::Url(content) => {
            let found = web::fetch(&task.parts.caller, &content.parse()?, file.path(), work.budget()).await?;
            check(content.sha256.as_deref(), &found, &content.url)?;
        }
    }
    Ok(file.into_temp_path())
}

/// The task that the index has under a name, as the task itself may know it.
async fn indexed(task: &TaskContext, namespace: &str) -> Result<TaskId> {
    match Index::new(task.parts.caller.clone()).find_task(namespace).await {
        Ok(found) => Ok(found.task_id),
        Err(error) if error.is_retryable() || error.is_unauthorized() => {
            Err(Error::worker_caused(format!("cannot look for {namespace:?} in the index"), error))
        }
        Err(error) => {
            Err(Error::payload(format!("cannot mount what the index has under {namespace:?}: {}", chain(&error))))
        }
    }
}

/// Workers may store an artifact compressed, which is not for the task to know: the content is what it was.
async fn artifact_of(
    task: &TaskContext,
    work: &Work,
    task_id: TaskId,
    name: &str,
    sha256: Option<&str>,
    to: &Path,
) -> Result<()> {
    let downloaded: Downloaded = artifacts::download(task, &task_id, name, to).await?;
    work.budget().take_bytes(downloaded.length, &File::open(to).map_err(Fault::Disk)?)?;
    let what = format!("{task_id}/{name}");
    let found = match downloaded.content_encoding.as_deref() {
        None | Some("identity") => downloaded.sha256,
        Some("gzip" | "x-gzip") => {
            let (path, budget) = (to.to_owned(), work.budget().clone());
            work.blocking(&what, move || gunzip(&path, &budget)).await?
        }
        Some(other) => {
            return Err(Error::payload(format!("the artifact {what} is encoded as {other:?}, which is unknown here")));
        }
    };
    check(sha256, &found, &what)
}

/// Put in the place of a compressed file what it holds, and give the SHA-256 of that.
fn gunzip(path: &Path, budget: &Arc<Budget>) -> Result<String, Fault> {
    let mut content = decoder(Compression::Gz, Stored::open(path, budget)?)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let decoded = tempfile::NamedTempFile::new_in(dir).map_err(Fault::Disk)?;
    let mut to = Hashing { to: NewFile::over(decoded.as_file().try_clone()?, budget.clone()), hash: Sha256::new() };
    io::copy(&mut content, &mut to)?;
    decoded.persist(path).map_err(|error| Fault::Disk(error.error))?;
    Ok(web::hex(&to.hash.finalize()))
}

struct Hashing {
    to: NewFile,
    hash: Sha256,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Content of another hash is content that does not exist: what came whole would come like that another time, so the
/// payload asks for something that cannot be had.
fn check(expected: Option<&str>, found: &str, what: &str) -> Result<()> {
    match expected {
        Some(expected) if expected != found => {
            Err(Error::payload(format!("cannot mount {what}: it hashes to {found}, not to {expected}")))
        }
        Some(_) | None => Ok(()),
    }
}
