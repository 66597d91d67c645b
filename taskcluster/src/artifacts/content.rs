//! What is uploaded: something with a length that can be read again.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream;
use taskcluster_core::transport::Body;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
}

impl Content {
    /// Length and body, as they are now.
    pub(super) async fn open(&self) -> io::Result<(u64, Body)> {
        match self {
            Self::Bytes(bytes) => Ok((bytes.len() as u64, Body::from(bytes.clone()))),
            Self::File(path) => {
                let file = File::open(path).await?;
                let facts = file.metadata().await?;
                if !facts.is_file() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
                }
                Ok((facts.len(), read(file, facts.len())))
            }
        }
    }

    /// What to call it in an error.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Bytes(_) => "content in memory".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Exactly `length` bytes: what is appended to the file meanwhile is left out, a file that shrinks is an error.
fn read(file: File, length: u64) -> Body {
    if length == 0 {
        return Body::empty();
    }
    Body::from_stream(stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        match file.read(&mut chunk).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter during its upload")),
            n => {
                chunk.truncate(n);
                Ok(Some((Bytes::from(chunk), (file, left - n as u64))))
            }
        }
    }))
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
