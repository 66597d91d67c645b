//! Download: ask the queue where the content is, then fetch it, as often as it takes.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::StatusCode;
use taskcluster_core::{RunId, TaskId};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use super::fetch::Route;
use super::file::PartialFile;
use super::object;
use super::progress::{Progress, Watcher};
use super::sink::{Memory, Sink, Writer, too_large};
use super::transfer::Transfer;
use super::unpack::Unpacking;
use super::upload::storage_type;
use super::{ArtifactError, Artifacts, split};
use crate::queue::ArtifactContentResponse;

/// Connections for a large file, unless something else is said.
const CONNECTIONS: usize = 4;

/// A download that has been prepared; one of the methods `to_…` carries it out.
///
/// Gzip, in which many workers store logs and documents (`Content-Encoding: gzip`), is undone on the way, as browsers do it, unless
/// the content is to come [as it is stored](Self::as_stored). Where a hash is known, what arrives is checked against it: one from a
/// header of the storage service is of the stored bytes, one from the object service of the content once uncompressed.
#[derive(Clone, Debug)]
#[must_use = "nothing is downloaded until it is said where to"]
pub struct Download {
    pub(super) artifacts: Artifacts,
    of: Of,
    pub(super) name: String,
    pub(super) connections: usize,
    pub(super) watcher: Option<Watcher>,
    as_stored: bool,
}

/// What a name is the name of.
#[derive(Clone, Copy, Debug)]
enum Of {
    Artifact(TaskId, Option<RunId>),
    Object,
}

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// How many bytes.
    pub length: u64,
    /// Media type that the storage service states.
    pub content_type: Option<String>,
    /// How the bytes are compressed, such as `gzip` where they came [as they are stored](Download::as_stored); `None` if they are
    /// not.
    pub content_encoding: Option<String>,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Whether somebody stated that hash, so that it is known to be right.
    pub verified: bool,
}

/// Where the content is, and its SHA-256 if that is known.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) url: Url,
    pub(super) sha256: Option<String>,
}

impl Download {
    pub(super) fn new(artifacts: Artifacts, task_id: TaskId, run_id: Option<RunId>, name: String) -> Self {
        Self::of(Of::Artifact(task_id, run_id), artifacts, name)
    }

    /// An object that its name alone leads to.
    pub(super) fn object(artifacts: Artifacts, name: String) -> Self {
        Self::of(Of::Object, artifacts, name)
    }

    fn of(of: Of, artifacts: Artifacts, name: String) -> Self {
        Self { artifacts, of, name, connections: CONNECTIONS, watcher: None, as_stored: false }
    }

    /// The task, where it is an artifact.
    pub(super) fn task_id(&self) -> Option<&TaskId> {
        match &self.of {
            Of::Artifact(task_id, _) => Some(task_id),
            Of::Object => None,
        }
    }

    /// Uses up to so many connections at once for a large [file](Self::to_file), where the storage service gives ranges;
    /// 1 for one after the other. Default: 4.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Leaves compressed what is stored compressed; [`Downloaded::content_encoding`] says how it is. Otherwise gzip is undone, and
    /// [`Downloaded`] says how long the content itself is and what its hash is.
    ///
    /// What arrives is checked against a stated hash either way: a file appears after that, and a writer is told by an error
    /// afterwards. A file that is uncompressed needs room for both meanwhile.
    pub fn as_stored(mut self) -> Self {
        self.as_stored = true;
        self
    }

    /// Is told how much has arrived, after each piece.
    pub fn progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Watcher::new(tell));
        self
    }

    /// Downloads into a file, which appears under its name, or replaces what is there, only when it is complete. Gzip is undone,
    /// unless it is to come [as it is stored](Self::as_stored); content of another encoding comes as it is.
    ///
    /// # Errors
    /// See [`ArtifactError`]. The destination is then as it was.
    ///
    /// # Cancel safety
    /// A cancelled download leaves nothing behind.
    pub async fn to_file(self, path: impl AsRef<Path>) -> Result<Downloaded, ArtifactError> {
        let path = path.as_ref();
        let label = path.display().to_string();
        let local = |source| self.local(label.clone(), source);
        let mut file = PartialFile::create(path).await.map_err(local)?;
        let mut downloaded = match self.fetch(&mut file, &label, self.connections > 1).await? {
            Fetched::Whole(downloaded) => downloaded,
            Fetched::Large(large) => match split::fetch(&self, &large, &file, &label).await? {
                Some(downloaded) => downloaded,
                // Another content than in the beginning, so in one go and from there. Parts that were given up may still be
                // written to the file, so it is another one.
                None => {
                    file = file.anew().await.map_err(local)?;
                    self.whole(&mut file, &label).await?
                }
            },
        };
        if !self.as_stored && is_gzip(downloaded.content_encoding.as_deref()) {
            let (unpacked, length, sha256) = file.unpacked().await.map_err(local)?;
            file = unpacked;
            downloaded = Downloaded { length, sha256, content_encoding: None, ..downloaded };
        }
        file.keep().await.map_err(local)?;
        Ok(downloaded)
    }

    /// Downloads into memory, at most `limit` bytes, whether they are stored compressed or not. Gzip is undone, unless it is to come
    /// [as it is stored](Self::as_stored).
    ///
    /// # Errors
    /// See [`ArtifactError`]; content above the limit is [`ArtifactError::Local`], and so is content of another encoding, which
    /// nothing here would say, unless it is wanted as it is stored.
    pub async fn to_memory(self, limit: usize) -> Result<Bytes, ArtifactError> {
        // What cannot be made smaller becomes a little larger.
        let most_stored = if self.as_stored { limit } else { limit.saturating_add(limit / 1024 + 1024) };
        let mut memory = Memory { bytes: Vec::new(), limit: most_stored };
        let downloaded = self.whole(&mut memory, "memory").await?;
        let content = match downloaded.content_encoding.as_deref() {
            encoding if !self.as_stored && is_gzip(encoding) => gunzip(&memory.bytes, limit),
            Some(other) if !self.as_stored => {
                Err(io::Error::new(io::ErrorKind::Unsupported, format!("it is encoded as {other:?}")))
            }
            _ if memory.bytes.len() > limit => Err(too_large(limit)),
            _ => Ok(memory.bytes),
        };
        content.map(Bytes::from).map_err(|source| self.local("memory".to_owned(), source))
    }

    /// Downloads into a writer, which is flushed at the end. Gzip is undone, unless it is to come
    /// [as it is stored](Self::as_stored); content of another encoding comes as it is.
    ///
    /// # Errors
    /// See [`ArtifactError`]. What was written by then is a beginning of the content; only all of it is checked against
    /// a hash.
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Downloaded, ArtifactError> {
        let downloaded = if self.as_stored {
            self.whole(&mut Writer(&mut *writer), "writer").await?
        } else {
            let mut unpacking = Unpacking::new(Writer(&mut *writer));
            let downloaded = self.whole(&mut unpacking, "writer").await?;
            match unpacking.end().await.map_err(|source| self.local("writer".to_owned(), source))? {
                Some((length, sha256)) => Downloaded { length, sha256, content_encoding: None, ..downloaded },
                None => downloaded,
            }
        };
        writer.flush().await.map_err(|source| self.local("writer".to_owned(), source))?;
        Ok(downloaded)
    }

    async fn whole<S: Sink>(&self, sink: &mut S, label: &str) -> Result<Downloaded, ArtifactError> {
        match self.fetch(sink, label, false).await? {
            Fetched::Whole(downloaded) => Ok(downloaded),
            Fetched::Large(_) => unreachable!("nobody asked whether it is large"),
        }
    }

    /// In one go; or, if that is wanted, no further than to learn that the content is large and can be had in parts.
    async fn fetch<S: Sink>(&self, sink: &mut S, label: &str, may_split: bool) -> Result<Fetched, ArtifactError> {
        let mut route = Route::new(self, label);
        let mut transfer = Transfer::new(sink, self.watcher.clone());
        loop {
            let source = route.source().await?;
            let before = transfer.furthest();
            let failure = match transfer.step(self, &source, may_split).await {
                Ok(fetched) => return Ok(fetched),
                Err(failure) => failure,
            };
            if transfer.furthest() > before {
                route.renew();
            }
            route.after(failure, source).await?;
        }
    }

    /// Asks the queue, or of an object the object service, where the content is.
    pub(super) async fn locate(&self) -> Result<Source, ArtifactError> {
        let queue = &self.artifacts.queue;
        let refused = |source| ArtifactError::Queue { name: self.name.clone(), source };
        let content = match &self.of {
            Of::Artifact(task_id, Some(run_id)) => queue.artifact(task_id, *run_id, &self.name).await,
            Of::Artifact(task_id, None) => queue.latest_artifact(task_id, &self.name).await,
            Of::Object => return object::locate_alone(&self.artifacts, &self.name).await,
        };
        let url = match content.map_err(refused)? {
            ArtifactContentResponse::S3(content) => content.url,
            ArtifactContentResponse::Reference(content) => content.url,
            ArtifactContentResponse::Object(content) => {
                return object::locate(&self.artifacts, &content, &self.name).await;
            }
            ArtifactContentResponse::Error(note) => {
                let name = self.name.clone();
                return Err(ArtifactError::NeverCreated { name, reason: note.reason, message: note.message });
            }
            other => {
                let storage_type = storage_type(&other);
                return Err(ArtifactError::Unsupported { name: self.name.clone(), storage_type });
            }
        };
        let url = Url::parse(&url).map_err(|error| ArtifactError::Interrupted {
            name: self.name.clone(),
            source: format!("the queue answered with the URL {url:?}: {error}").into(),
        })?;
        Ok(Source { url, sha256: None })
    }

    pub(super) fn refused(&self, status: StatusCode, message: String) -> ArtifactError {
        ArtifactError::Refused { name: self.name.clone(), status: status.as_u16(), message }
    }

    pub(super) fn local(&self, path: String, source: io::Error) -> ArtifactError {
        ArtifactError::Local { name: self.name.clone(), path, source }
    }
}

/// What came of a download.
pub(super) enum Fetched {
    Whole(Downloaded),
    /// Only its description: the rest is had faster in parts.
    Large(split::Large),
}

/// Whether this encoding is gzip, by one of its names.
pub(super) fn is_gzip(encoding: Option<&str>) -> bool {
    matches!(encoding, Some("gzip" | "x-gzip"))
}

/// What gzip made smaller.
fn gunzip(compressed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limit.try_into().unwrap_or(u64::MAX);
    MultiGzDecoder::new(compressed).take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

/// Enough of a storage service's answer for an error message, on one line.
pub(super) fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
