//! A stream, for whoever holds it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mux::{OUTBOX, SharedMux};

/// What goes between one viewer and whoever serves it.
///
/// It behaves as a TCP connection does: what is written before it is dropped is still sent, and it breaks with the tunnel. There
/// is no half of it: when the other side has closed, nobody reads what is written.
#[derive(Debug)]
pub struct TunnelStream {
    id: u32,
    mux: SharedMux,
}

impl TunnelStream {
    pub(super) fn new(id: u32, mux: SharedMux) -> Self {
        Self { id, mux }
    }

    /// Tell the other side that it is served now.
    pub(super) fn accept(self) -> Self {
        self.mux.lock().accept(self.id);
        self
    }

    /// Until the other side has accepted it.
    pub(super) fn poll_established(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut mux = self.mux.lock();
        let stream = mux.stream(self.id).ok_or_else(broken)?;
        if stream.established {
            return Poll::Ready(Ok(()));
        }
        if stream.peer_closed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        stream.writer = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut mux = self.mux.lock();
        let stream = mux.stream(self.id).ok_or_else(broken)?;
        if !stream.inbox.is_empty() {
            let length = stream.inbox.len().min(buffer.remaining());
            buffer.put_slice(&stream.inbox[..length]);
            stream.inbox.advance(length);
            mux.freed(self.id, length);
            return Poll::Ready(Ok(()));
        }
        if stream.peer_closed {
            return Poll::Ready(Ok(()));
        }
        stream.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut mux = self.mux.lock();
        let stream = mux.stream(self.id).ok_or_else(broken)?;
        if stream.peer_closed || stream.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = OUTBOX.saturating_sub(stream.outbox.len());
        if room == 0 {
            stream.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = bytes.len().min(room);
        stream.outbox.extend_from_slice(&bytes[..length]);
        mux.gets_turn(self.id);
        Poll::Ready(Ok(length))
    }

    /// What is written is on its way at once, as with TCP.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut mux = self.mux.lock();
        if let Some(stream) = mux.stream(self.id) {
            stream.closing = true;
            mux.gets_turn(self.id);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        self.mux.lock().abandon(self.id);
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the tunnel broke")
}
