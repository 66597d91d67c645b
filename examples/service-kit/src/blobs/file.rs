//! A blob as a file: a header that says what it is, then its bytes.
//!
//! One file rather than two, so that a rename puts everything in its place at once. The header is the length of a JSON
//! text (four bytes, big-endian), then the text.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

/// A header longer than this is none.
const MAX_HEADER: u32 = 64 * 1024;

/// Written through a buffer of this size: each write of a file is a hop to another thread.
const BUFFER: usize = 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    key: String,
    content_type: String,
    /// Blobs from before there was this have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
}

/// Where the blob of a key lies below a folder. Keys may be anything, so the name is made of their hash.
pub(super) fn place(folder: &Path, key: &str) -> PathBuf {
    let digest = Sha256::digest(key.as_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(&name[..2]).join(&name[2..])
}

/// A blob that is being written; without [`finish`](Self::finish) nothing remains of it.
pub(super) struct Incoming {
    file: BufWriter<File>,
    temporary: NamedTempFile,
    length: u64,
}

impl Incoming {
    /// Begins a blob in a folder on the same file system as the one that it will move to.
    pub(super) async fn begin(
        folder: &Path,
        key: &str,
        content_type: &str,
        content_encoding: Option<&str>,
    ) -> io::Result<Self> {
        let folder = folder.to_owned();
        let (temporary, file) = blocking(move || {
            let temporary = NamedTempFile::new_in(folder)?;
            let file = temporary.reopen()?;
            Ok((temporary, file))
        })
        .await?;
        let mut file = BufWriter::with_capacity(BUFFER, File::from_std(file));
        let content_encoding = content_encoding.map(str::to_owned);
        let header = Header { key: key.to_owned(), content_type: content_type.to_owned(), content_encoding };
        let header = serde_json::to_vec(&header)?;
        let length = u32::try_from(header.len()).ok().filter(|length| *length <= MAX_HEADER);
        file.write_u32(length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?).await?;
        file.write_all(&header).await?;
        Ok(Self { file, temporary, length: 0 })
    }

    pub(super) async fn write(&mut self, chunk: &Bytes) -> io::Result<()> {
        self.length += chunk.len() as u64;
        self.file.write_all(chunk).await
    }

    /// How many bytes of content were written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Puts the blob into its place; from then on it is there, also after a power failure.
    pub(super) async fn finish(mut self, place: PathBuf) -> io::Result<()> {
        self.file.flush().await?;
        self.file.get_ref().sync_data().await?;
        let temporary = self.temporary;
        blocking(move || {
            let parent = place.parent().ok_or(io::ErrorKind::InvalidInput)?;
            make_folder(parent)?;
            temporary.persist(&place).map_err(|error| error.error)?;
            // A new name is on the disk when its folder is; and that may be new as well.
            sync_folder(parent)?;
            sync_folder(parent.parent().ok_or(io::ErrorKind::InvalidInput)?)
        })
        .await
    }
}

/// Makes a folder, and those that it is in, for nobody but us.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// A blob that is being read, positioned at its first byte.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: File,
    pub(super) content_type: String,
    /// How whoever uploaded it has encoded it, such as `gzip`.
    pub(super) content_encoding: Option<String>,
    /// Where the content begins.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Changes whenever the blob is written anew.
    pub(super) tag: String,
}

impl Stored {
    /// Opens the blob of a key, if there is one.
    pub(super) async fn open(place: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(place).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.read_u32().await?;
        if length > MAX_HEADER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the header of a blob is damaged"));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact(&mut header).await?;
        let header: Header = serde_json::from_slice(&header)?;
        let offset = u64::from(length) + 4;
        let metadata = file.metadata().await?;
        let written = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let length = metadata.len().saturating_sub(offset);
        let tag = format!("\"{length:x}-{:x}\"", written.as_nanos());
        let Header { content_type, content_encoding, .. } = header;
        Ok(Some(Self { file, content_type, content_encoding, offset, length, tag }))
    }
}

/// File operations that Tokio has no word for.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
