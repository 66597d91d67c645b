//! Artifacts that are stored compressed, which is between whoever uploads them and the storage: an image is what it was before.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use taskcluster_worker::error::{Error, Result};
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use super::gauge::Bounds;
use super::reference::hex;

/// A new file of the worker's own.
pub(super) fn temporary(folder: &Path) -> Result<TempPath> {
    let file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    Ok(file.into_temp_path())
}

fn unwritable(error: io::Error) -> Error {
    Error::worker_caused("cannot write an image", error)
}

/// Decode a file into another one, which may have so many bytes. Comes with its SHA-256 in hexadecimal.
///
/// # Errors
/// [`Error::Payload`]: it is broken, or becomes larger. [`Error::Worker`]: it cannot be written.
pub(super) async fn gunzip(what: &str, from: TempPath, folder: &Path, most_bytes: u64) -> Result<(TempPath, String)> {
    let (what, folder) = (what.to_owned(), folder.to_owned());
    // A run that is over has nothing decoded any more.
    let over = CancellationToken::new();
    let _guard = over.clone().drop_guard();
    let decoding = tokio::task::spawn_blocking(move || decode(&what, &from, &folder, most_bytes, &over));
    decoding.await.map_err(|error| Error::worker_caused("cannot decode an image", error))?
}

fn decode(
    what: &str,
    from: &TempPath,
    folder: &Path,
    most_bytes: u64,
    over: &CancellationToken,
) -> Result<(TempPath, String)> {
    let broken = |error: io::Error| Error::payload(format!("{what} cannot be loaded: {error}"));
    let mut content = MultiGzDecoder::new(BufReader::new(File::open(from).map_err(unwritable)?));
    let bounds = Bounds::new(most_bytes, None);
    let to = temporary(folder)?;
    let mut file = BufWriter::new(File::create(&to).map_err(unwritable)?);
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 128 * 1024]);
    while !over.is_cancelled() {
        let read = content.read(&mut chunk).map_err(broken)?;
        if read == 0 {
            break;
        }
        bounds.take(read as u64).map_err(broken)?;
        hash.update(&chunk[..read]);
        file.write_all(&chunk[..read]).map_err(unwritable)?;
    }
    file.flush().map_err(unwritable)?;
    Ok((to, hex(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    async fn decoded(stored: &[u8], most_bytes: u64) -> Result<(Vec<u8>, String)> {
        let dir = tempfile::tempdir().unwrap();
        let from = temporary(dir.path()).unwrap();
        std::fs::write(&from, stored).unwrap();
        let (path, sha256) = gunzip("the image", from, dir.path(), most_bytes).await?;
        Ok((std::fs::read(&path).unwrap(), sha256))
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn the_content_is_what_it_was_before() {
        let content = vec![7; 300_000];
        let (found, sha256) = decoded(&gzip(&content), 300_000).await.unwrap();
        assert!(found == content);
        assert_eq!(sha256, hex(&Sha256::digest(&content)));
        let twice = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(decoded(&twice, 6).await.unwrap().0, b"onetwo", "it may come in parts");
    }

    #[tokio::test]
    async fn what_grows_too_large_or_breaks_off_is_the_tasks_fault() {
        let bomb = gzip(&vec![0; 4 << 20]);
        assert!(matches!(decoded(&bomb, 1 << 20).await, Err(Error::Payload(why)) if why[0].contains("larger than")));
        assert!(matches!(decoded(&bomb[..bomb.len() / 2], 8 << 20).await, Err(Error::Payload(_))));
    }
}
