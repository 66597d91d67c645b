//! Bytes on their way between blocking code and the engine, in both directions, a few chunks at a time.

use std::io::{self, BufWriter, Read, Write};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Chunks that may wait for whoever is slower.
const WAITING: usize = 4;

/// Do blocking work that writes, and read beside it what it writes. It ends with [`io::ErrorKind::BrokenPipe`] when nobody
/// reads any more.
pub(crate) fn write_to_stream(
    work: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> (JoinHandle<io::Result<()>>, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let working = tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(256 * 1024, Sender(sender));
        work(&mut out)?;
        out.flush()
    });
    let chunks = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    (working, chunks)
}

/// Do blocking work that reads a stream.
pub(crate) async fn read_from_stream<T: Send + 'static>(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send,
    work: impl FnOnce(&mut dyn Read) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let working = tokio::task::spawn_blocking(move || work(&mut Receiver { receiver, rest: Bytes::new() }));
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        if sender.send(chunk).await.is_err() {
            break; // it has read enough
        }
    }
    drop(sender);
    working.await.map_err(io::Error::other)?
}

struct Sender(mpsc::Sender<io::Result<Bytes>>);

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Receiver {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let taken = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives() {
        let (working, chunks) = write_to_stream(|out| out.write_all(&[7; 1_000_000]));
        let read = read_from_stream(chunks, |from| {
            let mut all = Vec::new();
            from.read_to_end(&mut all)?;
            Ok(all)
        });
        assert_eq!(read.await.unwrap(), vec![7; 1_000_000]);
        working.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_writes_for_nobody_ends() {
        let (working, chunks) = write_to_stream(|out| {
            loop {
                out.write_all(&[0; 4096])?;
            }
        });
        drop(chunks);
        assert_eq!(working.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
