//! What is uploaded: something with a length that can be read again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use taskcluster_core::transport::Body;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::digest::Sha256;
use super::progress::Watcher;

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
    /// What can be read only once, or had to be compressed first, in a file that ends with the last clone of this.
    Spooled(Arc<TempPath>),
}

/// What went through a body that was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured(Arc<Mutex<Sha256>>);

impl Measured {
    /// The hash of what was sent.
    pub(super) fn sha256(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hex()
    }

    fn take(&self, chunk: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
    }
}

impl Content {
    /// Copies what can be read only once into a temporary file.
    pub(super) async fn spool(reader: &mut (impl AsyncRead + Unpin), folder: Option<&Path>) -> io::Result<Self> {
        let (mut file, path) = temporary(folder)?;
        tokio::io::copy(reader, &mut file).await?;
        file.flush().await?;
        Ok(Self::Spooled(Arc::new(path)))
    }

    /// Compresses it into a temporary file: storage services want to know the length before the first byte. Comes with the
    /// hash of what was compressed.
    pub(super) async fn compress(&self, folder: Option<&Path>) -> io::Result<(Self, String)> {
        let (mut file, path) = temporary(folder)?;
        let (_, mut source) = self.source().await?;
        let mut encoder = GzEncoder::new(Vec::with_capacity(CHUNK), Compression::default());
        let mut hash = Sha256::default();
        while let Some(chunk) = source.next().await? {
            hash.update(&chunk);
            io::Write::write_all(&mut encoder, &chunk)?;
            file.write_all(encoder.get_ref()).await?;
            encoder.get_mut().clear();
        }
        file.write_all(&encoder.finish()?).await?;
        file.flush().await?;
        Ok((Self::Spooled(Arc::new(path)), hash.hex()))
    }

    /// Length and body, as they are now.
    pub(super) async fn open(&self, watcher: Option<Watcher>) -> io::Result<(u64, Body, Measured)> {
        let (length, source) = self.source().await?;
        let measured = Measured::default();
        if length == 0 {
            return Ok((0, Body::empty(), measured));
        }
        let state = (source, measured.clone(), watcher, 0);
        let body = stream::try_unfold(state, move |(mut source, measured, watcher, sent)| async move {
            let Some(chunk) = source.next().await? else { return Ok::<_, io::Error>(None) };
            measured.take(&chunk);
            let sent = sent + chunk.len() as u64;
            if let Some(watcher) = &watcher {
                watcher.tell(sent, Some(length));
            }
            Ok(Some((chunk, (source, measured, watcher, sent))))
        });
        Ok((length, Body::sized(body, length), measured))
    }

    /// All of it, if it is no longer than `limit`.
    pub(super) async fn small(&self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let (length, mut source) = self.source().await?;
        if length > limit {
            return Ok(None);
        }
        let mut all = Vec::new();
        while let Some(chunk) = source.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all))
    }

    async fn source(&self) -> io::Result<(u64, Source)> {
        let path = match self {
            Self::Bytes(bytes) => return Ok((bytes.len() as u64, Source::Bytes(bytes.clone()))),
            Self::File(path) => path.as_path(),
            Self::Spooled(path) => path,
        };
        let file = File::open(path).await?;
        let facts = file.metadata().await?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((facts.len(), Source::File { file, left: facts.len() }))
    }

    /// What to call it in an error.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Bytes(_) => "content in memory".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Spooled(_) => "a temporary file".to_owned(),
        }
    }
}

/// Content that is being read.
enum Source {
    Bytes(Bytes),
    /// Exactly as long as it was in the beginning: what is appended to the file meanwhile is left out, a file that shrinks
    /// is an error.
    File {
        file: File,
        left: u64,
    },
}

impl Source {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Bytes(bytes) => Ok((!bytes.is_empty()).then(|| bytes.split_to(CHUNK.min(bytes.len())))),
            Self::File { left: 0, .. } => Ok(None),
            Self::File { file, left } => {
                let mut chunk = vec![0; CHUNK.min(usize::try_from(*left).unwrap_or(CHUNK))];
                match file.read(&mut chunk).await? {
                    0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter during its upload")),
                    n => {
                        chunk.truncate(n);
                        *left -= n as u64;
                        Ok(Some(Bytes::from(chunk)))
                    }
                }
            }
        }
    }
}

/// In the folder, or where the system has temporary files.
fn temporary(folder: Option<&Path>) -> io::Result<(File, TempPath)> {
    let made = folder.map_or_else(tempfile::NamedTempFile::new, tempfile::NamedTempFile::new_in);
    let (file, path) = made?.into_parts();
    Ok((File::from_std(file), path))
}

/// The media type that a name's ending stands for; `application/octet-stream` for an ending that says nothing.
pub fn content_type_of(name: &str) -> &'static str {
    let file_name = name.rsplit('/').next().unwrap_or(name);
    match file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("css") => "text/css; charset=utf-8",
        Some("csv") => "text/csv; charset=utf-8",
        Some("gz" | "tgz") => "application/gzip",
        Some("htm" | "html") => "text/html; charset=utf-8",
        Some("jpeg" | "jpg") => "image/jpeg",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("log" | "txt" | "md") => "text/plain; charset=utf-8",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("tar") => "application/x-tar",
        Some("wasm") => "application/wasm",
        Some("xml") => "application/xml",
        Some("yaml" | "yml") => "application/yaml",
        Some("zip") => "application/zip",
        Some("zst") => "application/zstd",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_the_last_segment_counts() {
        assert_eq!(content_type_of("public/logs/live.log"), "text/plain; charset=utf-8");
        assert_eq!(content_type_of("public/v1.json/binary"), "application/octet-stream");
        assert_eq!(content_type_of("public/Report.HTML"), "text/html; charset=utf-8");
    }
}
