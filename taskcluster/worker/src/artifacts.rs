//! How a run's artifacts get to the queue and out of it.

use std::path::{Path, PathBuf};

use taskcluster::artifacts::{ArtifactError, Artifacts, Downloaded};
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

/// A file that is to become an artifact.
#[derive(Clone, Debug)]
pub struct Upload {
    path: PathBuf,
    content_type: Option<String>,
    expires: Option<Timestamp>,
    gzip: bool,
}

impl Upload {
    /// The file at `path`; its content type is guessed from the artifact's name, it expires with the task.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), content_type: None, expires: None, gzip: false }
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
        self.gzip = gzip;
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

/// Gives the SHA-256 of what was uploaded, in hexadecimal: of the content, however it is stored.
pub(crate) async fn upload(task: &TaskContext, name: &str, upload: &Upload) -> Result<String> {
    let expires = upload.expires.unwrap_or(task.expires());
    let mut request = Artifacts::new(&task.parts.caller).upload(&task.task_id(), task.run_id(), name, expires);
    if let Some(content_type) = &upload.content_type {
        request = request.content_type(content_type);
    }
    if upload.gzip {
        request = request.gzip();
    }
    if task.parts.object_artifacts {
        request = request.object();
    }
    match request.file(&upload.path).await {
        Ok(uploaded) => Ok(uploaded.content_sha256),
        Err(ArtifactError::Queue { source, .. }) => {
            Err(refused(format!("cannot upload the artifact {name:?}"), source))
        }
        Err(error) => Err(Error::worker_caused(format!("cannot upload the artifact {name:?}"), error)),
    }
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
    match Artifacts::new(&task.parts.caller).download_latest(task_id, name).to_file(to).await {
        Ok(downloaded) => Ok(downloaded),
        Err(error) if is_final(&error) => {
            Err(Error::payload(format!("cannot mount the artifact {name:?} of task {task_id}: {}", chain(&error))))
        }
        Err(error) => Err(Error::worker_caused(format!("cannot fetch the artifact {name:?} of task {task_id}"), error)),
    }
}

/// Whether the artifact would be missing another time as well.
fn is_final(error: &ArtifactError) -> bool {
    match error {
        ArtifactError::Queue { source, .. } => {
            let never_made = source.status() == Some(http::StatusCode::FAILED_DEPENDENCY);
            never_made || error.is_not_found() || source.is_forbidden()
        }
        ArtifactError::NeverCreated { .. } => true,
        _ => error.is_not_found(),
    }
}
