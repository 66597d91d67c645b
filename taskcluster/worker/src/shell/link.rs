//! One connection of a session, at either end. It may break at any time; the session goes on with the next.

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::frame::Frame;
use super::socket::Socket;
pub(crate) use super::socket::{Cut, config};
use super::streams::Streams;
use crate::wire::Wire;

/// A websocket over which streams are said.
pub(crate) struct Link(Socket);

impl Link {
    pub(crate) fn new(socket: WebSocketStream<Box<dyn Wire>>) -> Self {
        Self(Socket::new(socket))
    }

    /// Send what there is to say as fast as the other end takes it, until something comes.
    ///
    /// # Cancel safety
    /// A message is either handed over whole or still there.
    pub(crate) async fn exchange(&mut self, streams: &mut Streams) -> Result<Frame, Cut> {
        let message = loop {
            if let Some(message) = self.0.exchange(|| said_by(streams), true).await? {
                break message;
            }
        };
        let frame = match &message {
            Message::Text(text) => Frame::of_text(text)?,
            other => Frame::of_binary(&other.clone().into_data())?,
        };
        Ok(frame)
    }

    /// Send what there is to say and part.
    pub(crate) async fn part(self, streams: &mut Streams) {
        self.0.part(|| said_by(streams), None).await;
    }
}

fn said_by(streams: &mut Streams) -> Option<Message> {
    streams.next().map(|frame| frame.encode())
}
