//! Upload: create the artifact, send the content to where the queue or the object service says, and finish.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use taskcluster_core::transport::TransportError;
use taskcluster_core::{RunId, TaskId, Timestamp, chain};
use tokio::io::AsyncRead;

use super::content::{Content, content_type_of};
use super::digest::Sha256;
use super::object::ObjectUpload;
use super::progress::{Progress, Watcher};
use super::{ArtifactError, Artifacts, Patience};
use crate::queue::{PostArtifactRequest, PostArtifactResponse, S3ArtifactRequest};

/// An upload that has been prepared; [`bytes`](Self::bytes), [`file`](Self::file) or [`reader`](Self::reader) carries it
/// out.
#[derive(Clone, Debug)]
#[must_use = "nothing is uploaded until the content is given"]
pub struct Upload {
    pub(super) artifacts: Artifacts,
    pub(super) task_id: TaskId,
    pub(super) run_id: RunId,
    pub(super) name: String,
    pub(super) expires: Timestamp,
    content_type: Option<String>,
    gzip: bool,
    /// The hash of what the content becomes once it is decoded, if it is compressed already.
    unpacked_sha256: Option<String>,
    object: bool,
    /// Where temporary files are made, if not where the system has them.
    temporary: Option<PathBuf>,
    watcher: Option<Watcher>,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Size in bytes of what is stored, which is less than the content's if it was compressed.
    pub length: u64,
    /// Media type of the content.
    pub content_type: String,
    /// SHA-256 of what is stored, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the content itself, in hexadecimal: another one if it was [compressed](Upload::gzip).
    pub content_sha256: String,
}

/// What is sent, once it is known.
struct Prepared {
    content: Content,
    content_type: String,
    /// The hash of the content before it was compressed, if it was.
    sha256: Option<String>,
}

impl Prepared {
    fn uploaded(&self, length: u64, sha256: String) -> Uploaded {
        let content_sha256 = self.sha256.clone().unwrap_or_else(|| sha256.clone());
        Uploaded { length, content_type: self.content_type.clone(), sha256, content_sha256 }
    }
}

impl Upload {
    pub(super) fn new(artifacts: Artifacts, task_id: TaskId, run_id: RunId, name: String, expires: Timestamp) -> Self {
        Self {
            artifacts,
            task_id,
            run_id,
            name,
            expires,
            content_type: None,
            gzip: false,
            unpacked_sha256: None,
            object: false,
            temporary: None,
            watcher: None,
        }
    }

    /// Sets the media type. Without it, the ending of the artifact's name decides, as [`content_type_of`] says.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Stores the content compressed, with `Content-Encoding: gzip`, which browsers and most clients undo by themselves.
    /// It is compressed into a [temporary file](Self::temporary_in) first.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Says that the content is compressed by gzip already, and stores it as it is with `Content-Encoding: gzip`. `sha256` is that of
    /// what it becomes once it is decoded, in hexadecimal: the object service keeps it.
    pub fn gzipped(mut self, sha256: impl Into<String>) -> Self {
        (self.gzip, self.unpacked_sha256) = (true, Some(sha256.into()));
        self
    }

    /// Stores the content by the object service (storage type `object`), which keeps its hash, instead of in the queue's
    /// own bucket (`s3`).
    pub fn object(mut self) -> Self {
        self.object = true;
        self
    }

    /// Makes temporary files in this folder, which has to exist. They may be as large as the content; each goes with its upload, but not
    /// if the process is killed. Without it, they are where the system has such files, which is in memory on some.
    pub fn temporary_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.temporary = Some(folder.into());
        self
    }

    /// Is told how much was sent, after each piece. A repetition begins at the beginning.
    pub fn progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Watcher::new(tell));
        self
    }

    /// Uploads bytes from memory.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    ///
    /// # Cancel safety
    /// A cancelled upload leaves an artifact without content behind; uploading again repairs it, but not one of the
    /// object service, which stays without content.
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

    /// Uploads what a reader gives until its end. It can be read only once, so it is copied into a [temporary file](Self::temporary_in)
    /// first.
    ///
    /// # Errors
    /// See [`ArtifactError`].
    ///
    /// # Cancel safety
    /// As for [`bytes`](Self::bytes).
    pub async fn reader(self, reader: &mut (impl AsyncRead + Unpin + Send)) -> Result<Uploaded, ArtifactError> {
        let spooled = Content::spool(reader, self.temporary.as_deref()).await;
        let content = spooled.map_err(|source| self.local("the reader".to_owned(), source))?;
        self.send(content).await
    }

    async fn send(self, content: Content) -> Result<Uploaded, ArtifactError> {
        let content_type = self.content_type.clone().unwrap_or_else(|| content_type_of(&self.name).to_owned());
        let label = content.label();
        let (content, sha256) = if let Some(sha256) = &self.unpacked_sha256 {
            (content, Some(sha256.clone()))
        } else if self.gzip {
            let compressed = content.compress(self.temporary.as_deref()).await;
            let (compressed, sha256) = compressed.map_err(|source| self.local(label, source))?;
            (compressed, Some(sha256))
        } else {
            (content, None)
        };
        let prepared = Prepared { content, content_type, sha256 };
        if self.object { self.send_object(&prepared).await } else { self.send_s3(&prepared).await }
    }

    /// Each attempt asks for a fresh URL.
    async fn send_s3(&self, prepared: &Prepared) -> Result<Uploaded, ArtifactError> {
        let mut patience = Patience::of(&self.artifacts.caller);
        loop {
            let length = self.length_of(prepared).await?;
            let url = self.create(length, &prepared.content_type).await?;
            let headers = [(header::CONTENT_TYPE.to_string(), prepared.content_type.clone())].into();
            match self.put(prepared, &url, &headers).await? {
                Attempt::Done(uploaded) => return Ok(uploaded),
                Attempt::Failed(error) => self.again(&mut patience, error).await?,
            }
        }
    }

    /// The artifact is created once; each attempt has the object service give a fresh URL for the same upload.
    async fn send_object(&self, prepared: &Prepared) -> Result<Uploaded, ArtifactError> {
        let mut patience = Patience::of(&self.artifacts.caller);
        let length = self.length_of(prepared).await?;
        let object = ObjectUpload::create(self, length, &prepared.content_type).await?;
        // Compressed content has to say so, which only a request to a URL can.
        let inline = if self.gzip { None } else { self.small(prepared, super::object::INLINE).await? };
        let uploaded = loop {
            let Some(target) = object.begin(self, length, &prepared.content_type, inline.as_deref()).await? else {
                let sha256 = sha256_of(inline.as_deref().unwrap_or_default());
                break prepared.uploaded(length, sha256);
            };
            match self.put(prepared, &target.url, &target.headers).await? {
                Attempt::Done(uploaded) if uploaded.length == length => break uploaded,
                Attempt::Done(_) => {
                    let changed = std::io::Error::other("the file changed during its upload");
                    return Err(self.local(prepared.content.label(), changed));
                }
                Attempt::Failed(error) => self.again(&mut patience, error).await?,
            }
        };
        // The object service keeps the hash of what a reader has in the end.
        object.finish(self, &uploaded.content_sha256).await?;
        Ok(uploaded)
    }

    async fn again(&self, patience: &mut Patience<'_>, error: ArtifactError) -> Result<(), ArtifactError> {
        tracing::debug!(task.id = %self.task_id, artifact = self.name, error = %chain(&error), "upload failed");
        if patience.another().await { Ok(()) } else { Err(error) }
    }

    async fn length_of(&self, prepared: &Prepared) -> Result<u64, ArtifactError> {
        let opened = prepared.content.open(None).await;
        opened.map(|(length, ..)| length).map_err(|source| self.local(prepared.content.label(), source))
    }

    async fn small(&self, prepared: &Prepared, limit: u64) -> Result<Option<Vec<u8>>, ArtifactError> {
        prepared.content.small(limit).await.map_err(|source| self.local(prepared.content.label(), source))
    }

    /// One attempt to send all of the content.
    async fn put(
        &self,
        prepared: &Prepared,
        url: &str,
        headers: &BTreeMap<String, String>,
    ) -> Result<Attempt, ArtifactError> {
        let opened = prepared.content.open(self.watcher.clone()).await;
        let (length, body, measured) = opened.map_err(|source| self.local(prepared.content.label(), source))?;
        let mut request = Request::builder().method(Method::PUT).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if self.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some(headers) = request.headers_mut() {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let request = request.body(body).map_err(|error| self.cut(error))?;
        let exchange = async {
            let response = self.artifacts.send(request).await?;
            let status = response.status();
            let body = response.into_body().collect(64 * 1024).await.unwrap_or_default();
            Ok::<_, TransportError>((status, body))
        };
        let (status, body) = match exchange.await {
            Ok(answer) => answer,
            Err(error) => return Ok(Attempt::Failed(self.cut(error))),
        };
        if status.is_success() {
            return Ok(Attempt::Done(prepared.uploaded(length, measured.sha256())));
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
        match self.post(&PostArtifactRequest::S3(form)).await? {
            PostArtifactResponse::S3(target) => Ok(target.put_url),
            other => Err(self.unsupported(&other)),
        }
    }

    pub(super) async fn post(&self, form: &PostArtifactRequest) -> Result<PostArtifactResponse, ArtifactError> {
        let queue = &self.artifacts.queue;
        let answer = queue.create_artifact(&self.task_id, self.run_id, &self.name, form).await;
        answer.map_err(|source| self.queue(source))
    }

    pub(super) fn queue(&self, source: taskcluster_core::Error) -> ArtifactError {
        ArtifactError::Queue { name: self.name.clone(), source }
    }

    pub(super) fn unsupported(&self, answer: &impl serde::Serialize) -> ArtifactError {
        ArtifactError::Unsupported { name: self.name.clone(), storage_type: storage_type(answer) }
    }

    fn cut(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ArtifactError {
        ArtifactError::Interrupted { name: self.name.clone(), source: source.into() }
    }

    fn local(&self, path: String, source: std::io::Error) -> ArtifactError {
        ArtifactError::Local { name: self.name.clone(), path, source }
    }
}

fn sha256_of(bytes: &[u8]) -> String {
    let mut hash = Sha256::default();
    hash.update(bytes);
    hash.hex()
}

enum Attempt {
    Done(Uploaded),
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
