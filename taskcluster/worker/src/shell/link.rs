//! One connection of a session, at either end. It may break at any time; the session goes on with the next.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::frame::{Frame, LONGEST};
use super::streams::{Streams, Violation};

/// How often each end asks whether the other is there; proxies forget connections on which nothing is said.
const PING: Duration = Duration::from_secs(15);

/// An end that was not heard for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// What is written at once, and the most that waits to be written.
const BUFFER: usize = 32 * 1024;

/// What a websocket goes over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How websockets are opened: small, and deaf to what is larger than anything that is ever said.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * BUFFER)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
}

/// Why a connection is no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the connection was closed")]
    Closed,
    #[error("the other side is silent")]
    Silent,
    #[error("the connection broke: {0}")]
    Broken(#[from] Box<tungstenite::Error>),
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// A websocket with its pings.
pub(crate) struct Link {
    socket: WebSocketStream<Box<dyn Wire>>,
    ticks: Interval,
    heard: Instant,
    ping: bool,
}

impl Link {
    pub(crate) fn new(socket: WebSocketStream<Box<dyn Wire>>) -> Self {
        let now = Instant::now();
        let mut ticks = interval_at(now + PING, PING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, ticks, heard: now, ping: false }
    }

    /// Send what there is to say as fast as the other end takes it, until something comes.
    ///
    /// # Cancel safety
    /// A message is either handed over whole or still there.
    pub(crate) async fn exchange(&mut self, streams: &mut Streams) -> Result<Frame, Cut> {
        std::future::poll_fn(|context| self.poll(context, streams)).await
    }

    /// Send what there is to say and part.
    pub(crate) async fn part(mut self, streams: &mut Streams) {
        let parting = async {
            let said = std::future::poll_fn(|context| {
                ready!(self.poll_send(context, streams))?;
                Pin::new(&mut self.socket).poll_flush(context).map_err(broken)
            });
            if said.await.is_ok() {
                let _ = self.socket.close(None).await;
                // The answer to it: who closes first and is gone may take what was said along.
                while let Some(Ok(_)) = futures_util::StreamExt::next(&mut self.socket).await {}
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), parting).await;
    }

    fn poll(&mut self, context: &mut Context<'_>, streams: &mut Streams) -> Poll<Result<Frame, Cut>> {
        while self.ticks.poll_tick(context).is_ready() {
            if self.heard.elapsed() > SILENCE {
                return Poll::Ready(Err(Cut::Silent));
            }
            self.ping = true;
        }
        if let Poll::Ready(Err(cut)) = self.poll_send(context, streams) {
            return Poll::Ready(Err(cut));
        }
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
            return Poll::Ready(Err(broken(error)));
        }
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(Cut::Closed)),
            };
            self.heard = Instant::now();
            let frame = match &message {
                Message::Binary(bytes) => Frame::of_binary(bytes),
                Message::Text(text) => Frame::of_text(text),
                Message::Close(_) => return Poll::Ready(Err(Cut::Closed)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            return Poll::Ready(frame.map_err(Cut::from));
        }
    }

    /// Ready when there is nothing more to say.
    fn poll_send(&mut self, context: &mut Context<'_>, streams: &mut Streams) -> Poll<Result<(), Cut>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broken)?;
            let message = if std::mem::take(&mut self.ping) {
                Message::Ping(bytes::Bytes::new())
            } else if let Some(frame) = streams.next() {
                frame.encode()
            } else {
                return Poll::Ready(Ok(()));
            };
            Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        }
    }
}

fn broken(error: tungstenite::Error) -> Cut {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Cut::Closed,
        other => Cut::Broken(Box::new(other)),
    }
}
