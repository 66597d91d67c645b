//! A large file in parts, over several connections at once.

use std::io::SeekFrom;
use std::ops::Range as Span;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::digest;
use super::download::{Download, Downloaded, Source, beginning};
use super::fetch::{Failure, Range, Route, content_range, get, number, strong_tag, text};
use super::file::PartialFile;
use super::hashes::Hashes;
use super::{ArtifactError, progress::Watcher};

/// Smaller content comes as fast in one go.
const LARGE: u64 = 32 * 1024 * 1024;
/// How much one request asks for.
const PART: u64 = 8 * 1024 * 1024;

/// Content that can be had in parts.
#[derive(Debug)]
pub(super) struct Large {
    source: Source,
    total: u64,
    /// Says of each part that it is one of the same content.
    tag: String,
    /// The hash that the head of an answer states.
    sha256: Option<String>,
    content_type: Option<String>,
    content_encoding: Option<String>,
}

impl Large {
    /// Whether an answer tells of such content.
    pub(super) fn of(headers: &HeaderMap, source: &Source) -> Option<Self> {
        let total = number(headers, header::CONTENT_LENGTH).filter(|total| *total >= LARGE)?;
        let ranges = text(headers, header::ACCEPT_RANGES).is_some_and(|unit| unit.contains("bytes"));
        Some(Self {
            source: source.clone(),
            total,
            tag: strong_tag(headers).filter(|_| ranges)?,
            sha256: digest::stated(headers),
            content_type: text(headers, header::CONTENT_TYPE),
            content_encoding: text(headers, header::CONTENT_ENCODING).filter(|encoding| encoding != "identity"),
        })
    }

    fn parts(&self) -> impl Iterator<Item = Span<u64>> {
        let total = self.total;
        (0..total.div_ceil(PART)).map(move |n| n * PART..total.min((n + 1) * PART))
    }
}

/// Fills the file; nothing if the content is no longer the same, or not what its hash says.
pub(super) async fn fetch(
    download: &Download,
    large: &Large,
    file: &PartialFile,
    label: &str,
) -> Result<Option<Downloaded>, ArtifactError> {
    let done = AtomicU64::new(0);
    let job = Job { download, large, path: file.path(), label, done: &done };
    let parts = stream::iter(large.parts()).map(|span| job.part(span)).buffer_unordered(download.connections);
    match parts.try_collect::<()>().await {
        Ok(()) => {}
        Err(ArtifactError::Changed { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut hashes = Hashes::of(large.content_encoding.as_deref());
    hash(file.path(), &mut hashes).await.map_err(|source| download.local(label.to_owned(), source))?;
    let agree = hashes.agree(large.source.sha256.as_deref(), large.sha256.as_deref());
    if agree == Some(false) {
        return Ok(None);
    }
    Ok(Some(Downloaded {
        length: large.total,
        content_type: large.content_type.clone(),
        content_encoding: large.content_encoding.clone(),
        sha256: hashes.stored(),
        verified: agree.is_some(),
    }))
}

struct Job<'a> {
    download: &'a Download,
    large: &'a Large,
    path: &'a Path,
    label: &'a str,
    /// Of all parts together.
    done: &'a AtomicU64,
}

impl Job<'_> {
    async fn part(&self, span: Span<u64>) -> Result<(), ArtifactError> {
        let local = |source| self.download.local(self.label.to_owned(), source);
        let mut file = OpenOptions::new().write(true).open(self.path).await.map_err(local)?;
        file.seek(SeekFrom::Start(span.start)).await.map_err(local)?;
        let mut at = span.start;
        let mut route = Route::along(self.download, self.label, self.large.source.clone());
        while at < span.end {
            let (source, before) = (route.source().await?, at);
            let failure = self.step(&source, &mut file, &mut at, span.end).await.err();
            if at > before {
                route.renew();
            }
            if let Some(failure) = failure {
                route.after(failure, source).await?;
            }
        }
        file.flush().await.map_err(local)
    }

    /// One request and as much of its answer as comes, up to the end of the part.
    async fn step(&self, source: &Source, file: &mut File, at: &mut u64, end: u64) -> Result<(), Failure> {
        let range = Range { from: *at, to: Some(end - 1), validator: Some(self.large.tag.clone()) };
        let (parts, mut body) = get(self.download, &source.url, Some(&range)).await?.into_parts();
        match parts.status {
            StatusCode::PARTIAL_CONTENT => {}
            // The whole of another content, or one that has become shorter.
            StatusCode::OK | StatusCode::RANGE_NOT_SATISFIABLE => return Err(Failure::Changed),
            status => {
                let message = body.collect(4096).await.map(|body| beginning(&body)).unwrap_or_default();
                return Err(Failure::Refused { status, message });
            }
        }
        let known = |total: Option<u64>| total.is_none_or(|total| total == self.large.total);
        if !content_range(&parts.headers).is_some_and(|(from, total)| from == *at && known(total)) {
            return Err(Failure::Changed);
        }
        while *at < end {
            let Some(frame) = body.frame().await else { return Err(Failure::Cut("the part ended early".into())) };
            let Ok(mut chunk) = frame.map_err(Failure::Cut)?.into_data() else { continue };
            chunk.truncate(usize::try_from(end - *at).unwrap_or(usize::MAX));
            file.write_all(&chunk).await.map_err(Failure::Local)?;
            *at += chunk.len() as u64;
            let done = self.done.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            if let Some(watcher) = &self.download.watcher {
                Watcher::tell(watcher, done, Some(self.large.total));
            }
        }
        Ok(())
    }
}

/// Of a whole file, since its parts came in any order.
async fn hash(path: &Path, hashes: &mut Hashes) -> std::io::Result<()> {
    let mut file = File::open(path).await?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk).await? {
            0 => return Ok(()),
            n => hashes.update(&chunk[..n]),
        }
    }
}
