//! Where a download is written to.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

pub(super) trait Sink: Send {
    /// Whether what was written can be taken back.
    const RESTARTS: bool;

    /// What comes next begins with the first byte, and is stored with this encoding.
    fn begins(&mut self, _encoding: Option<&str>) {}

    fn write(&mut self, chunk: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Takes back all that was written. Called only where [`RESTARTS`](Self::RESTARTS) says so.
    fn restart(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Memory, up to a limit.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    pub(super) limit: usize,
}

impl Sink for Memory {
    const RESTARTS: bool = true;

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.bytes.len() + chunk.len() > self.limit {
            return Err(too_large(self.limit));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        Ok(())
    }
}

pub(super) fn too_large(limit: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than the {limit} bytes that were allowed"))
}

/// Somebody's writer, which takes nothing back.
#[derive(Debug)]
pub(super) struct Writer<W>(pub(super) W);

impl<W: AsyncWrite + Unpin + Send> Sink for Writer<W> {
    const RESTARTS: bool = false;

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.write_all(chunk).await
    }

    async fn restart(&mut self) -> io::Result<()> {
        Err(io::Error::other("a writer takes nothing back"))
    }
}
