//! A file that appears under its name only when it is complete.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use taskcluster_core::TaskId;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::sink::Sink;
use super::unpack::unpack;

/// Written beside its destination under another name, which is removed unless the file is [kept](Self::keep).
#[derive(Debug)]
pub(super) struct PartialFile {
    file: File,
    temporary: PathBuf,
    destination: PathBuf,
    kept: bool,
}

impl PartialFile {
    pub(super) async fn create(destination: &Path) -> io::Result<Self> {
        if destination.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name"));
        }
        // Not made of the destination's name, which may be as long as names can be.
        let temporary = destination.with_file_name(format!(".{}.part", TaskId::new()));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary).await?;
        Ok(Self { file, temporary, destination: destination.to_owned(), kept: false })
    }

    /// Where it is until it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Begins once more, in another file: what is still being written to this one goes with it.
    pub(super) async fn anew(self) -> io::Result<Self> {
        Self::create(&self.destination).await
    }

    /// Another such file with what gzip made smaller in this one, which goes; its length and hash.
    pub(super) async fn unpacked(mut self) -> io::Result<(Self, u64, String)> {
        self.file.flush().await?;
        let unpacked = Self::create(&self.destination).await?;
        let (from, to) = (File::open(&self.temporary).await?, unpacked.file.try_clone().await?);
        let (from, to) = (from.into_std().await, to.into_std().await);
        let unpacking = tokio::task::spawn_blocking(move || unpack(from, to));
        let (length, sha256) = unpacking.await.map_err(io::Error::other)??;
        Ok((unpacked, length, sha256))
    }

    /// Gives the complete file its name, in one step and in place of what may be there.
    pub(super) async fn keep(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.temporary, &self.destination).await?;
        self.kept = true;
        Ok(())
    }
}

impl Sink for PartialFile {
    const RESTARTS: bool = true;

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk).await
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(0).await?;
        self.file.seek(SeekFrom::Start(0)).await?;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing better can be done with a failure here; the name says what the file is.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[tokio::test]
    async fn what_is_written_late_does_not_reach_a_file_that_was_begun_anew() {
        let folder = std::env::temp_dir().join(format!("taskcluster-file-{}", TaskId::new()));
        std::fs::create_dir(&folder).unwrap();
        let destination = folder.join("file");
        let file = PartialFile::create(&destination).await.unwrap();
        let mut late = std::fs::OpenOptions::new().write(true).open(file.path()).unwrap();
        let mut file = file.anew().await.unwrap();
        file.write(b"short").await.unwrap();
        late.seek(SeekFrom::Start(1000)).unwrap();
        late.write_all(b"late").unwrap();
        file.keep().await.unwrap();
        assert_eq!(std::fs::read(&destination).unwrap(), b"short");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
