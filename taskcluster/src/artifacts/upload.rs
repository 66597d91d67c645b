//! Upload: create the artifact, then send the content to where the queue says.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use taskcluster_core::{RunId, TaskId, Timestamp, chain};

use super::content::{Content, content_type_of};
use super::{ArtifactError, Artifacts, Patience, SILENCE};
use crate::queue::{PostArtifactRequest, PostArtifactResponse, S3ArtifactRequest};

/// An upload that has been prepared; [`bytes`](Self::bytes) or [`file`](Self::file) carries it out.
#[derive(Clone, Debug)]
#[must_use = "nothing is uploaded until the content is given"]
pub struct Upload {
    artifacts: Artifacts,
    task_id: TaskId,
    run_id: RunId,
    name: String,
    expires: Timestamp,
    content_type: Option<String>,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Size of the content in bytes.
    pub length: u64,
    /// Media type of the content.
    pub content_type: String,
}

impl Upload {
    pub(super) fn new(artifacts: Artifacts, task_id: TaskId, run_id: RunId, name: String, expires: Timestamp) -> Self {
        Self { artifacts, task_id, run_id, name, expires, content_type: None }
    }

    /// Sets the media type. Without it, the ending of the artifact's name decides, as [`content_type_of`] says.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Uploads bytes from memory.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    ///
    /// # Cancel safety
    /// A cancelled upload leaves an artifact without content behind; uploading again repairs it.
    pub async fn bytes(self, bytes: impl Into<Bytes>) -> Result<Uploaded, ArtifactError> {
        self.send(Content::Bytes(bytes.into())).await
    }

    /// Uploads a regular file, as long as it is when the upload begins.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    ///
    /// # Cancel safety
    /// As for [`bytes`](Self::bytes).
    pub async fn file(self, path: impl Into<PathBuf>) -> Result<Uploaded, ArtifactError> {
        self.send(Content::File(path.into())).await
    }

    async fn send(self, content: Content) -> Result<Uploaded, ArtifactError> {
        let content_type = self.content_type.clone().unwrap_or_else(|| content_type_of(&self.name).to_owned());
        let mut patience = Patience::of(&self.artifacts.caller);
        loop {
            match self.attempt(&content, &content_type).await? {
                Attempt::Done { length } => return Ok(Uploaded { length, content_type }),
                Attempt::Failed(error) => {
                    tracing::debug!(task.id = %self.task_id, artifact = self.name, error = %chain(&error), "upload failed");
                    if !patience.another().await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn attempt(&self, content: &Content, content_type: &str) -> Result<Attempt, ArtifactError> {
        let (length, body) = content.open().await.map_err(|source| self.local(content, source))?;
        let url = self.create(length, content_type).await?;
        let request = Request::builder()
            .method(Method::PUT)
            .uri(url)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_LENGTH, length)
            .body(body)
            .map_err(|error| self.cut(error))?;
        let exchange = async {
            let response = self.artifacts.caller.transport().send(request).await?;
            let status = response.status();
            let body = response.into_body().collect(64 * 1024).await.unwrap_or_default();
            Ok((status, body))
        };
        // Slow is fine, silent is not: the time allowed grows with the content.
        let allowed = SILENCE * 2 + Duration::from_secs(length / (16 * 1024));
        let (status, body) = match tokio::time::timeout(allowed, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let error: taskcluster_core::transport::TransportError = error;
                return Ok(Attempt::Failed(self.cut(error)));
            }
            Err(late) => return Ok(Attempt::Failed(self.cut(late))),
        };
        if status.is_success() {
            return Ok(Attempt::Done { length });
        }
        let refused = ArtifactError::Refused {
            name: self.name.clone(),
            status: status.as_u16(),
            message: super::download::beginning(&body),
        };
        if may_pass(status) { Ok(Attempt::Failed(refused)) } else { Err(refused) }
    }

    /// Creates the artifact, or asks for a fresh URL if it exists.
    async fn create(&self, length: u64, content_type: &str) -> Result<String, ArtifactError> {
        let form = S3ArtifactRequest::new(self.expires, content_type).with_content_length(length);
        let answer = self
            .artifacts
            .queue
            .create_artifact(&self.task_id, self.run_id, &self.name, &PostArtifactRequest::S3(form))
            .await
            .map_err(|source| ArtifactError::Queue { name: self.name.clone(), source })?;
        match answer {
            PostArtifactResponse::S3(target) => Ok(target.put_url),
            other => Err(ArtifactError::Unsupported { name: self.name.clone(), storage_type: storage_type(&other) }),
        }
    }

    fn cut(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ArtifactError {
        ArtifactError::Interrupted { name: self.name.clone(), source: source.into() }
    }

    fn local(&self, content: &Content, source: std::io::Error) -> ArtifactError {
        ArtifactError::Local { name: self.name.clone(), path: content.label(), source }
    }
}

enum Attempt {
    Done {
        length: u64,
    },
    /// Another attempt may succeed.
    Failed(ArtifactError),
}

/// Beside the usual ones: 403 is what an expired URL gets, 400 is how one storage service says that we were too slow.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 400 | 403 | 408 | 429)
}

/// The `storageType` of whatever the queue answered.
pub(super) fn storage_type(answer: &impl serde::Serialize) -> String {
    serde_json::to_value(answer)
        .ok()
        .and_then(|value| value.get("storageType")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}
