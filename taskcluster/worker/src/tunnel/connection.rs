//! A connection between the two ends of a tunnel: a websocket that carries out what its streams have to say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::frame::Frame;
use super::mux::{NoStream, SharedMux, Side, Violation, WINDOW};
use super::stream::TunnelStream;

/// How often each end asks whether the other is there. The official server lets go of one that does not answer for 20 s.
const PING: Duration = Duration::from_secs(15);

/// An end that was not heard for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// How long a parting may take.
const PARTING: Duration = Duration::from_secs(2);

/// What is read at once, and the most that waits to be written.
const BUFFER: usize = 32 * 1024;

/// Streams that were announced and that nobody has accepted yet; more are refused.
pub(super) const WAITING: usize = 128;

/// Why a connection is no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cut {
    /// The other side closed it.
    #[error("the other side closed the tunnel: {0}")]
    Closed(String),
    /// This side closed it.
    #[error("the tunnel was closed")]
    Ended,
    /// The other side is not heard any more.
    #[error("the other side of the tunnel is silent")]
    Silent,
    /// The connection broke.
    #[error("the tunnel broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The other side does what it must not do.
    #[error("the other side does not keep to the protocol: {0}")]
    Violation(#[from] Violation),
}

/// How the websocket of a tunnel is opened: deaf to what is longer than any frame may be.
#[must_use]
pub fn websocket_config() -> WebSocketConfig {
    let longest = WINDOW as usize + 16;
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * BUFFER)
        .max_message_size(Some(longest))
        .max_frame_size(Some(longest))
}

/// Opens streams: what a server has of each of its clients.
#[derive(Clone, Debug)]
pub struct Opener(SharedMux);

impl Opener {
    /// For a connection that is yet to be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(SharedMux::new(Side::Opening))
    }

    /// A stream, once the other side has accepted it.
    ///
    /// # Errors
    /// `ConnectionReset` when there is no connection any more, `QuotaExceeded` when there are too many streams already, and
    /// `ConnectionRefused` when the other side does not want it.
    ///
    /// # Cancel safety
    /// Dropping the future gives the stream up.
    pub async fn open(&self) -> io::Result<TunnelStream> {
        let id = self.0.lock().open().map_err(|error| {
            io::Error::from(match error {
                NoStream::Over => io::ErrorKind::ConnectionReset,
                NoStream::Full => io::ErrorKind::QuotaExceeded,
            })
        })?;
        let stream = TunnelStream::new(id, self.0.clone());
        std::future::poll_fn(|context| stream.poll_established(context)).await?;
        Ok(stream)
    }

    /// End the connection, and all streams with it.
    pub fn close(&self) {
        self.0.lock().end();
    }

    /// Whether both are for the same connection.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }

    /// Carry the streams over this websocket until it ends.
    ///
    /// # Cancel safety
    /// Dropping the future breaks the connection, and all streams with it.
    pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, socket: WebSocketStream<S>) -> Cut {
        Connection::new(socket, self.0, None).run().await
    }
}

/// A websocket with its pings, and the streams that go over it.
pub(super) struct Connection<S> {
    socket: WebSocketStream<S>,
    mux: SharedMux,
    /// Who gets the streams that the other side opens.
    guests: Option<mpsc::Sender<TunnelStream>>,
    ticks: Interval,
    heard: Instant,
    ping: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(socket: WebSocketStream<S>, mux: SharedMux, guests: Option<mpsc::Sender<TunnelStream>>) -> Self {
        let now = Instant::now();
        let mut ticks = interval_at(now + PING, PING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, mux, guests, ticks, heard: now, ping: false }
    }

    /// Until it ends. All streams end with it.
    pub(super) async fn run(mut self) -> Cut {
        let cut = std::future::poll_fn(|context| self.poll(context)).await;
        self.mux.lock().end();
        let parting = match &cut {
            Cut::Ended => Some((CloseCode::Away, "it ends, or another takes its place")),
            Cut::Violation(violation) => Some((CloseCode::Protocol, violation.0)),
            Cut::Closed(_) | Cut::Silent | Cut::Broken(_) => None,
        };
        if let Some((code, reason)) = parting {
            let close = self.socket.close(Some(CloseFrame { code, reason: reason.into() }));
            let _ = tokio::time::timeout(PARTING, close).await;
        } else if let Cut::Closed(_) = cut {
            let _ = tokio::time::timeout(PARTING, self.socket.flush()).await;
        }
        cut
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Cut> {
        self.mux.lock().driven_by(context.waker());
        while self.ticks.poll_tick(context).is_ready() {
            if self.heard.elapsed() > SILENCE {
                return Poll::Ready(Cut::Silent);
            }
            self.ping = true;
            self.mux.lock().sweep();
        }
        loop {
            if self.mux.lock().is_over() {
                return Poll::Ready(Cut::Ended);
            }
            if let Poll::Ready(Err(error)) = self.poll_send(context) {
                return Poll::Ready(broken(error));
            }
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
                return Poll::Ready(broken(error));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(message)) => {
                    self.heard = Instant::now();
                    if let Err(cut) = self.take(message) {
                        return Poll::Ready(cut);
                    }
                }
                Some(Err(error)) => return Poll::Ready(broken(error)),
                None => return Poll::Ready(Cut::Closed(silently())),
            }
        }
    }

    /// Take in a message. What nobody understands is ignored, as the other implementations do.
    fn take(&mut self, message: Message) -> Result<(), Cut> {
        let frame = match message {
            Message::Binary(bytes) => Frame::decode(bytes),
            Message::Close(close) => {
                let reason = close.map(|close| close.reason.to_string()).filter(|reason| !reason.is_empty());
                return Err(Cut::Closed(reason.unwrap_or_else(silently)));
            }
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        };
        let Some(frame) = frame else { return Ok(()) };
        let mut mux = self.mux.lock();
        let Some(id) = mux.receive(frame)? else { return Ok(()) };
        match self.guests.as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(place)) => place.send(TunnelStream::new(id, self.mux.clone())),
            Some(Err(_)) | None => mux.refuse(id),
        }
        Ok(())
    }

    /// Ready when there is nothing more to say.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(context))?;
            let message = if std::mem::take(&mut self.ping) {
                Message::Ping(Bytes::new())
            } else if let Some(frame) = self.mux.lock().next_frame() {
                Message::Binary(frame.encode())
            } else {
                return Poll::Ready(Ok(()));
            };
            Pin::new(&mut self.socket).start_send(message)?;
        }
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.mux.lock().end();
    }
}

fn silently() -> String {
    "it does not say why".to_owned()
}

fn broken(error: tungstenite::Error) -> Cut {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Cut::Closed(silently()),
        other => Cut::Broken(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn socket(wire: DuplexStream, role: Role) -> WebSocketStream<DuplexStream> {
        WebSocketStream::from_raw_socket(wire, role, Some(websocket_config())).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_not_heard_is_let_go_of() {
        let (ours, _theirs) = tokio::io::duplex(1 << 20);
        let opener = Opener::new();
        let (cut, opened) = tokio::join!(opener.clone().run(socket(ours, Role::Server).await), opener.open());
        assert!(matches!(cut, Cut::Silent), "{cut}");
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(opener.open().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test(start_paused = true)]
    async fn two_ends_stay_for_hours_though_nothing_is_said() {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (guests, mut arrivals) = mpsc::channel(1);
        let opener = Opener::new();
        let server = opener.clone().run(socket(ours, Role::Server).await);
        let mux = SharedMux::new(Side::Accepting);
        let client = Connection::new(socket(theirs, Role::Client).await, mux, Some(guests)).run();
        let using = async {
            let accepting = async { arrivals.recv().await.unwrap().accept() };
            let (viewer, mut served) = tokio::join!(opener.open(), accepting);
            let mut viewer = viewer.unwrap();
            tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
            served.write_all(b"still here").await.unwrap();
            let mut heard = [0; 10];
            viewer.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"still here");
        };
        tokio::select! {
            () = using => {}
            cut = server => panic!("{cut}"),
            cut = client => panic!("{cut}"),
        }
    }
}
