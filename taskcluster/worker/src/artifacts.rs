//! How a run's artifacts get to the queue and out of it.

use std::io;
use std::path::{Path, PathBuf};

use taskcluster::artifacts::{ArtifactError, Artifacts, Downloaded, Uploaded};
use taskcluster::queue::{ErrorArtifactRequest, LinkArtifactRequest, PostArtifactRequest, ReferenceArtifactRequest};
use taskcluster_core::chain;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use url::Url;

use crate::context::TaskContext;
use crate::engine::Missing;
use crate::error::{Error, Result};

mod limits;

pub(crate) use limits::Allowance;
pub use limits::ArtifactLimits;

/// How a file is stored.
#[derive(Clone, Debug)]
enum Encoding {
    /// As it is.
    Identity,
    /// Compressed on the way.
    Gzip,
    /// It is compressed already; readers get what has this SHA-256.
    Gzipped { sha256: String },
}

/// A file that is to become an artifact.
#[derive(Clone, Debug)]
pub struct Upload {
    path: PathBuf,
    content_type: Option<String>,
    expires: Option<Timestamp>,
    encoding: Encoding,
}

impl Upload {
    /// The file at `path`; its content type is guessed from the artifact's name, it expires with the task.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), content_type: None, expires: None, encoding: Encoding::Identity }
    }

    /// Say that the file is compressed by gzip, which is not for readers to know: it is stored with `Content-Encoding: gzip`, which
    /// clients undo. `sha256` is that of what they get then, in hexadecimal, which a [chain of
    /// trust](crate::plugins::ChainOfTrust) states.
    #[must_use]
    pub fn gzipped(mut self, sha256: impl Into<String>) -> Self {
        self.encoding = Encoding::Gzipped { sha256: sha256.into() };
        self
    }

    /// Say what the file is.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Whether it is stored compressed, with `Content-Encoding: gzip`. Default: as it is.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.encoding = if gzip { Encoding::Gzip } else { Encoding::Identity };
        self
    }

    /// Let it expire before the task does.
    #[must_use]
    pub fn expires(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }
}

/// What names the queue takes.
pub(crate) const RULE_OF_NAMES: &str = "it takes 1 to 1024 printable ASCII characters";

/// Whether an artifact can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=1024).contains(&name.len()) && is_printable(name)
}

/// Whether a text can stand in a header.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// An artifact that the queue refuses is not what the task may ask for; anything else is no fault of the task.
fn refused(message: String, error: taskcluster_core::Error) -> Error {
    match error.status() {
        Some(http::StatusCode::BAD_REQUEST) => Error::payload(format!("{message}: {}", chain(&error))),
        _ => Error::worker_caused(message, error),
    }
}

/// Gives the SHA-256 of what readers get, in hexadecimal, however it is stored.
pub(crate) async fn upload(task: &TaskContext, name: &str, upload: &Upload) -> Result<String> {
    let sent = match send(task, name, upload, &upload.encoding).await {
        // A disk on which the compressed copy has no room is no reason to lose the content.
        Err(ArtifactError::Local { source, .. }) if is_full(&source) => {
            send(task, name, upload, &Encoding::Identity).await
        }
        sent => sent,
    };
    match sent {
        Ok(uploaded) => Ok(uploaded.content_sha256),
        Err(ArtifactError::Queue { source, .. }) => {
            Err(refused(format!("cannot upload the artifact {name:?}"), source))
        }
        Err(error) => Err(Error::worker_caused(format!("cannot upload the artifact {name:?}"), error)),
    }
}

async fn send(
    task: &TaskContext,
    name: &str,
    upload: &Upload,
    encoding: &Encoding,
) -> std::result::Result<Uploaded, ArtifactError> {
    let expires = upload.expires.unwrap_or(task.expires());
    let artifacts = Artifacts::new(&task.parts.caller);
    let mut request = artifacts.upload(&task.task_id(), task.run_id(), name, expires).temporary_in(task.scratch());
    if let Some(content_type) = &upload.content_type {
        request = request.content_type(content_type);
    }
    match encoding {
        Encoding::Identity => {}
        Encoding::Gzip => request = request.gzip(),
        Encoding::Gzipped { sha256 } => request = request.gzipped(sha256.as_str()),
    }
    if task.parts.object_artifacts {
        request = request.object();
    }
    request.file(&upload.path).await
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(crate) async fn reference(task: &TaskContext, name: &str, url: &Url, content_type: &str) -> Result<()> {
    let request = ReferenceArtifactRequest::new(task.expires(), url.as_str(), content_type);
    create(task, name, PostArtifactRequest::Reference(request)).await
}

pub(crate) async fn link(task: &TaskContext, name: &str, target: &str, content_type: &str) -> Result<()> {
    let request = LinkArtifactRequest::new(task.expires(), target).with_content_type(content_type);
    create(task, name, PostArtifactRequest::Link(request)).await
}

pub(crate) async fn error(task: &TaskContext, name: &str, missing: &Missing, expires: Option<Timestamp>) -> Result<()> {
    let expires = expires.unwrap_or(task.expires());
    let request = ErrorArtifactRequest::new(expires, missing.reason(), missing.to_string());
    create(task, name, PostArtifactRequest::Error(request)).await
}

pub(crate) async fn create(task: &TaskContext, name: &str, request: PostArtifactRequest) -> Result<()> {
    let call = task.queue().create_artifact(&task.task_id(), task.run_id(), name, &request);
    match call.await {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(format!("cannot create the artifact {name:?}"), error)),
    }
}

pub(crate) async fn download(task: &TaskContext, task_id: &TaskId, name: &str, to: &Path) -> Result<Downloaded> {
    match Artifacts::new(&task.parts.caller).download_latest(task_id, name).as_stored().to_file(to).await {
        Ok(downloaded) => Ok(downloaded),
        Err(error) if is_final(&error) => {
            Err(Error::payload(format!("cannot mount the artifact {name:?} of task {task_id}: {}", chain(&error))))
        }
        Err(error) => Err(Error::worker_caused(format!("cannot fetch the artifact {name:?} of task {task_id}"), error)),
    }
}

/// Whether an artifact that was not fetched could not be fetched another time either: there is none, it is a note that says why it
/// could not be made, or the task may not read it. Then the task asks for something that it cannot have; anything else is no fault of
/// its own.
#[must_use]
pub fn is_final(error: &ArtifactError) -> bool {
    match error {
        ArtifactError::Queue { source, .. } => is_final_answer(source),
        ArtifactError::NeverCreated { .. } => true,
        _ => error.is_not_found(),
    }
}

/// The same of what the queue or the index answers to who asks for an artifact: 400 (no such name can be, or links lead in a circle),
/// 403, 404, 410 (it has expired) and 424 (it could not be made).
#[must_use]
pub fn is_final_answer(error: &taskcluster_core::Error) -> bool {
    matches!(error.status().map(|status| status.as_u16()), Some(400 | 403 | 404 | 410 | 424))
}

#[cfg(test)]
mod tests {
    use taskcluster_core::error::ApiError;

    use super::*;

    #[test]
    fn what_would_be_the_same_another_time_is_final() {
        let final_of = |status: u16| {
            let source: taskcluster_core::Error = ApiError::new(status, "", "as the test wants it").into();
            is_final(&ArtifactError::Queue { name: "public/a".to_owned(), source })
        };
        assert_eq!([400, 403, 404, 410, 424].map(final_of), [true; 5]);
        assert_eq!([401, 429, 500, 503].map(final_of), [false; 4]);
    }
}
