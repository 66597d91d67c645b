//! Download: ask the queue where the content is, then fetch it, as often as it takes.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use taskcluster_core::transport::Body;
use taskcluster_core::{RunId, TaskId, chain};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use super::file::PartialFile;
use super::sink::{Memory, Sink, Writer};
use super::upload::storage_type;
use super::{ArtifactError, Artifacts, Patience, SILENCE};
use crate::queue::ArtifactContentResponse;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const REDIRECTS: u32 = 10;

/// A download that has been prepared; one of the methods `to_…` carries it out.
///
/// Content that is stored compressed arrives as it is stored; [`Downloaded::content_encoding`] says how.
#[derive(Clone, Debug)]
#[must_use = "nothing is downloaded until it is said where to"]
pub struct Download {
    artifacts: Artifacts,
    task_id: TaskId,
    run_id: Option<RunId>,
    name: String,
}

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// How many bytes.
    pub length: u64,
    /// Media type that the storage service states.
    pub content_type: Option<String>,
    /// How the bytes are compressed, such as `gzip`; `None` if they are not.
    pub content_encoding: Option<String>,
}

impl Download {
    pub(super) fn new(artifacts: Artifacts, task_id: TaskId, run_id: Option<RunId>, name: String) -> Self {
        Self { artifacts, task_id, run_id, name }
    }

    /// Downloads into a file, which appears under its name, or replaces what is there, only when it is complete.
    ///
    /// # Errors
    /// See [`ArtifactError`]. The destination is then as it was.
    ///
    /// # Cancel safety
    /// A cancelled download leaves nothing behind.
    pub async fn to_file(self, path: impl AsRef<Path>) -> Result<Downloaded, ArtifactError> {
        let path = path.as_ref();
        let local = |source| self.local(path.display().to_string(), source);
        let mut file = PartialFile::create(path).await.map_err(local)?;
        let downloaded = self.fetch(&mut file, &path.display().to_string()).await?;
        file.keep().await.map_err(local)?;
        Ok(downloaded)
    }

    /// Downloads into memory, at most `limit` bytes.
    ///
    /// # Errors
    /// See [`ArtifactError`]; content above the limit is [`ArtifactError::Local`].
    pub async fn to_memory(self, limit: usize) -> Result<Bytes, ArtifactError> {
        let mut memory = Memory { bytes: Vec::new(), limit };
        self.fetch(&mut memory, "memory").await?;
        Ok(memory.bytes.into())
    }

    /// Downloads into a writer, which is flushed at the end.
    ///
    /// # Errors
    /// See [`ArtifactError`]. What was written by then is a beginning of the content.
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Downloaded, ArtifactError> {
        let downloaded = self.fetch(&mut Writer(&mut *writer), "writer").await?;
        writer.flush().await.map_err(|source| self.local("writer".to_owned(), source))?;
        Ok(downloaded)
    }

    async fn fetch<S: Sink>(&self, sink: &mut S, label: &str) -> Result<Downloaded, ArtifactError> {
        let mut patience = Patience::of(&self.artifacts.caller);
        let mut transfer = Transfer { sink, received: 0, furthest: 0, skip: 0, content: None };
        let mut url: Option<Url> = None;
        loop {
            let fresh = url.is_none();
            let source = match url.take() {
                Some(url) => url,
                None => self.locate().await?,
            };
            let before = transfer.furthest;
            let failure = match self.step(&mut transfer, source.clone()).await {
                Ok(headers) => return Ok(describe(transfer.received, &headers)),
                Err(failure) => failure,
            };
            if transfer.furthest > before {
                patience.renew();
            }
            tracing::debug!(task.id = %self.task_id, artifact = self.name, received = transfer.received, "download: {}", chain(&failure));
            match failure {
                Failure::Local(error) => return Err(self.local(label.to_owned(), error)),
                Failure::Changed => return Err(ArtifactError::Changed { name: self.name.clone() }),
                // A URL that worked some time ago may have expired; a fresh one that is refused will not get better.
                Failure::Refused { status, message } if fresh && !passes(status) => {
                    return Err(self.refused(status, message));
                }
                Failure::Refused { status, message } => {
                    url = passes(status).then_some(source);
                    if !patience.another().await {
                        return Err(self.refused(status, message));
                    }
                }
                Failure::Cut(error) => {
                    url = Some(source);
                    if !patience.another().await {
                        let name = self.name.clone();
                        return Err(ArtifactError::Interrupted { name, source: error });
                    }
                }
            }
        }
    }

    /// Asks the queue where the content is.
    async fn locate(&self) -> Result<Url, ArtifactError> {
        let queue = &self.artifacts.queue;
        let refused = |source| ArtifactError::Queue { name: self.name.clone(), source };
        let content = match self.run_id {
            Some(run_id) => queue.artifact(&self.task_id, run_id, &self.name).await,
            None => queue.latest_artifact(&self.task_id, &self.name).await,
        };
        let url = match content.map_err(refused)? {
            ArtifactContentResponse::S3(content) => content.url,
            ArtifactContentResponse::Reference(content) => content.url,
            // The queue redirects to where the object service serves plain GETs.
            ArtifactContentResponse::Object(_) => match self.run_id {
                Some(run_id) => queue.get_artifact(&self.task_id, run_id, &self.name).await.map_err(refused)?.url,
                None => queue.get_latest_artifact(&self.task_id, &self.name).await.map_err(refused)?.url,
            },
            ArtifactContentResponse::Error(note) => {
                let name = self.name.clone();
                return Err(ArtifactError::NeverCreated { name, reason: note.reason, message: note.message });
            }
            other => {
                let storage_type = storage_type(&other);
                return Err(ArtifactError::Unsupported { name: self.name.clone(), storage_type });
            }
        };
        Url::parse(&url).map_err(|error| ArtifactError::Interrupted {
            name: self.name.clone(),
            source: format!("the queue answered with the URL {url:?}: {error}").into(),
        })
    }

    /// One request and as much of its answer as comes.
    async fn step<S: Sink>(&self, transfer: &mut Transfer<'_, S>, url: Url) -> Result<HeaderMap, Failure> {
        let range = transfer.range().await.map_err(Failure::Local)?;
        let response = self.get(url, range.as_ref()).await?;
        let (parts, mut body) = response.into_parts();
        match parts.status {
            StatusCode::OK => transfer.begins(&parts.headers).await?,
            StatusCode::PARTIAL_CONTENT if range.is_some() => transfer.continues(&parts.headers).await?,
            StatusCode::RANGE_NOT_SATISFIABLE if S::RESTARTS && range.is_some() => {
                transfer.restart().await?;
                return Err(Failure::Cut("the range was refused".into()));
            }
            status => {
                let message = body.collect(4096).await.map(|body| beginning(&body)).unwrap_or_default();
                return Err(Failure::Refused { status, message });
            }
        }
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|late| Failure::Cut(late.into()))?;
            match frame {
                None => break,
                Some(Err(error)) => return Err(Failure::Cut(error)),
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        transfer.receive(chunk).await?;
                    }
                }
            }
        }
        transfer.ends()?;
        Ok(parts.headers)
    }

    /// GET without credentials, through redirects, which never lead from `https` to `http`.
    async fn get(&self, mut url: Url, range: Option<&Range>) -> Result<Response<Body>, Failure> {
        for _ in 0..=REDIRECTS {
            let mut request =
                Request::builder().method(Method::GET).uri(url.as_str()).header(header::ACCEPT_ENCODING, "identity");
            if let Some(range) = range {
                request = request.header(header::RANGE, format!("bytes={}-", range.from));
                if let Some(validator) = &range.validator {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let request = request.body(Body::empty()).map_err(|error| Failure::Cut(error.into()))?;
            let sent = tokio::time::timeout(SILENCE, self.artifacts.caller.transport().send(request));
            let response =
                sent.await.map_err(|late| Failure::Cut(late.into()))?.map_err(|error| Failure::Cut(error.into()))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = text(response.headers(), header::LOCATION)
                .and_then(|location| url.join(&location).ok())
                .ok_or_else(|| Failure::Cut("a redirect without a usable location".into()))?;
            if url.scheme() == "https" && target.scheme() != "https" {
                return Err(Failure::Refused {
                    status: response.status(),
                    message: "redirect from https to an insecure address".to_owned(),
                });
            }
            url = target;
        }
        Err(Failure::Refused { status: StatusCode::LOOP_DETECTED, message: "too many redirects".to_owned() })
    }

    fn refused(&self, status: StatusCode, message: String) -> ArtifactError {
        ArtifactError::Refused { name: self.name.clone(), status: status.as_u16(), message }
    }

    fn local(&self, path: String, source: io::Error) -> ArtifactError {
        ArtifactError::Local { name: self.name.clone(), path, source }
    }
}

/// Why one step did not bring the rest.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("this side failed")]
    Local(#[source] io::Error),
    #[error("the content changed")]
    Changed,
    #[error("answered {status}")]
    Refused { status: StatusCode, message: String },
    #[error("cut")]
    Cut(#[source] BoxError),
}

/// What is known of the content from the answer that began it.
#[derive(Debug)]
struct ContentFacts {
    total: Option<u64>,
    /// A strong entity tag: two answers that carry it have the same bytes.
    tag: Option<String>,
}

struct Range {
    from: u64,
    validator: Option<String>,
}

/// How far a download has come.
struct Transfer<'a, S> {
    sink: &'a mut S,
    /// What the sink holds.
    received: u64,
    /// The most that `received` has been.
    furthest: u64,
    /// What is yet to be skipped of an answer that began anew, since the sink has it.
    skip: u64,
    content: Option<ContentFacts>,
}

impl<S: Sink> Transfer<'_, S> {
    /// Which part to ask for next. Where only the beginning can be trusted, that is everything.
    async fn range(&mut self) -> io::Result<Option<Range>> {
        self.skip = 0;
        if self.received == 0 {
            return Ok(None);
        }
        let validator = self.content.as_ref().and_then(|content| content.tag.clone());
        if validator.is_none() && S::RESTARTS {
            self.sink.restart().await?;
            self.received = 0;
            return Ok(None);
        }
        Ok(Some(Range { from: self.received, validator }))
    }

    /// An answer that starts at the first byte.
    async fn begins(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        let facts = ContentFacts { total: number(headers, header::CONTENT_LENGTH), tag: strong_tag(headers) };
        if self.received > 0 {
            if S::RESTARTS {
                self.restart().await?;
            } else {
                let before = self.content.take();
                let same = before.is_some_and(|before| before.total == facts.total && before.tag == facts.tag);
                if !same {
                    return Err(Failure::Changed);
                }
                self.skip = self.received;
            }
        }
        self.content = Some(facts);
        Ok(())
    }

    /// An answer that starts where the sink ends.
    async fn continues(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        let part = text(headers, header::CONTENT_RANGE).and_then(|range| parse_range(&range));
        let known = self.content.as_ref().and_then(|content| content.total);
        let fits = part.is_some_and(|(from, total)| {
            from == self.received && (known.is_none() || total.is_none() || known == total)
        });
        if fits {
            return Ok(());
        }
        if !S::RESTARTS {
            return Err(Failure::Changed);
        }
        self.restart().await?;
        Err(Failure::Cut("another range than the one that was asked for".into()))
    }

    async fn receive(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        // Never more than the chunk's length, which is a usize.
        let _ = chunk.split_to(skipped as usize);
        let known = self.content.as_ref().and_then(|content| content.total);
        if known.is_some_and(|total| self.received + chunk.len() as u64 > total) {
            return Err(Failure::Changed);
        }
        self.sink.write(&chunk).await.map_err(Failure::Local)?;
        self.received += chunk.len() as u64;
        self.furthest = self.furthest.max(self.received);
        Ok(())
    }

    /// The answer is over: is that all?
    fn ends(&self) -> Result<(), Failure> {
        match self.content.as_ref().and_then(|content| content.total) {
            Some(total) if self.received < total => {
                Err(Failure::Cut(format!("{} of {total} bytes came", self.received).into()))
            }
            Some(_) | None if self.skip > 0 => Err(Failure::Changed),
            Some(_) | None => Ok(()),
        }
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.sink.restart().await.map_err(Failure::Local)?;
        self.received = 0;
        self.content = None;
        Ok(())
    }
}

fn describe(length: u64, headers: &HeaderMap) -> Downloaded {
    Downloaded {
        length,
        content_type: text(headers, header::CONTENT_TYPE),
        content_encoding: text(headers, header::CONTENT_ENCODING).filter(|encoding| encoding != "identity"),
    }
}

fn passes(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::LOOP_DETECTED
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn strong_tag(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"))
}

/// `bytes 5-9/10` → (5, Some(10)); the total may be `*`.
fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, if total == "*" { None } else { Some(total.parse().ok()?) }))
}

/// Enough of a storage service's answer for an error message, on one line.
pub(super) fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
