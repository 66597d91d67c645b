//! A websocket with its pings, whatever is said over it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::streams::Violation;
use crate::wire::Wire;

/// The longest message that is accepted: a piece with its head, a command line as long as systems take it, or what somebody
/// pastes into a page.
pub(crate) const LONGEST: usize = 256 * 1024;

/// How often each end asks whether the other is there; proxies forget connections on which nothing is said.
const PING: Duration = Duration::from_secs(15);

/// An end that was not heard for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// How long parting may take.
const PARTING: Duration = Duration::from_secs(2);

/// What is written at once, and the most that waits to be written.
const BUFFER: usize = 32 * 1024;

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
pub(crate) struct Socket {
    socket: WebSocketStream<Box<dyn Wire>>,
    ticks: Interval,
    heard: Instant,
    ping: bool,
    /// What comes cannot be understood any more.
    is_garbled: bool,
}

impl Socket {
    pub(crate) fn new(socket: WebSocketStream<Box<dyn Wire>>) -> Self {
        let now = Instant::now();
        let mut ticks = interval_at(now + PING, PING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, ticks, heard: now, ping: false, is_garbled: false }
    }

    /// Send what there is to say as fast as the other end takes it, until something comes: text or bytes; or until something
    /// was taken from `next`, and there may be more: `None`.
    ///
    /// Who does not `listen` lets the other end wait, and cannot hear that it is there: that is borne for as long as silence is.
    ///
    /// # Cancel safety
    /// A message is either taken from `next` and handed over whole, or still there.
    pub(crate) async fn exchange(
        &mut self,
        mut next: impl FnMut() -> Option<Message>,
        listen: bool,
    ) -> Result<Option<Message>, Cut> {
        std::future::poll_fn(|context| self.poll(context, &mut next, listen)).await
    }

    /// Send what there is to say and part, in two seconds at most.
    pub(crate) async fn part(mut self, mut next: impl FnMut() -> Option<Message>, frame: Option<CloseFrame>) {
        let parting = async {
            let said = std::future::poll_fn(|context| {
                ready!(self.poll_send(context, &mut next))?;
                Pin::new(&mut self.socket).poll_flush(context).map_err(broken)
            });
            if said.await.is_ok() {
                let _ = self.socket.close(frame).await;
                // The answer to it: who closes first and is gone may take what was said along.
                while let Some(Ok(_)) = self.socket.next().await {}
                if self.is_garbled {
                    let _ = tokio::io::copy(self.socket.get_mut(), &mut tokio::io::sink()).await;
                }
                let _ = self.socket.get_mut().shutdown().await;
            }
        };
        let _ = tokio::time::timeout(PARTING, parting).await;
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        next: &mut impl FnMut() -> Option<Message>,
        listen: bool,
    ) -> Poll<Result<Option<Message>, Cut>> {
        while self.ticks.poll_tick(context).is_ready() {
            if self.heard.elapsed() > SILENCE {
                return Poll::Ready(Err(Cut::Silent));
            }
            self.ping = true;
        }
        let mut is_taken = false;
        let mut next = || next().inspect(|_| is_taken = true);
        if let Poll::Ready(Err(cut)) = self.poll_send(context, &mut next) {
            return Poll::Ready(Err(cut));
        }
        if is_taken {
            return Poll::Ready(Ok(None));
        }
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
            return Poll::Ready(Err(broken(error)));
        }
        if !listen {
            return Poll::Pending;
        }
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.is_garbled = true;
                    return Poll::Ready(Err(broken(error)));
                }
                None => return Poll::Ready(Err(Cut::Closed)),
            };
            self.heard = Instant::now();
            match message {
                Message::Binary(_) | Message::Text(_) => return Poll::Ready(Ok(Some(message))),
                Message::Close(_) => return Poll::Ready(Err(Cut::Closed)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Ready when there is nothing more to say.
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        next: &mut impl FnMut() -> Option<Message>,
    ) -> Poll<Result<(), Cut>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broken)?;
            let message = if std::mem::take(&mut self.ping) {
                Message::Ping(bytes::Bytes::new())
            } else if let Some(message) = next() {
                message
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
