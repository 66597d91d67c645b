//! A websocket that is told byte by byte what to say.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

use crate::stage::soon;

/// How much the system keeps for a client that does not read.
const UNREAD: u32 = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Bytes(Vec<u8>),
    /// With code and reason.
    Closed(Option<(u16, String)>),
    /// Without a word.
    Lost,
}

pub(crate) struct Client<S> {
    socket: WebSocketStream<S>,
}

/// A connection, with little room for what is not read.
pub(crate) async fn dial(url: &Url) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(UNREAD).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    socket.connect(address).await.unwrap()
}

impl Client<TcpStream> {
    pub(crate) async fn connect(url: &Url) -> Self {
        Self::over(dial(url).await, url).await.unwrap()
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn over(stream: S, url: &Url) -> Result<Self, tungstenite::Error> {
        let (socket, _) = soon("a handshake", tokio_tungstenite::client_async(url.as_str(), stream)).await?;
        Ok(Self { socket })
    }

    pub(crate) async fn says(&mut self, bytes: &[u8]) {
        soon("a way to say it", self.socket.send(Message::binary(bytes.to_vec()))).await.unwrap();
    }

    /// What is said, unless there is no way to.
    pub(crate) async fn tries_to_say(&mut self, message: Message) -> bool {
        self.socket.send(message).await.is_ok()
    }

    pub(crate) async fn hears(&mut self) -> Heard {
        loop {
            match soon("an answer", self.socket.next()).await {
                Some(Ok(Message::Binary(bytes))) => return Heard::Bytes(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Vec<u8> {
        match self.hears().await {
            Heard::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, of text.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match soon("an answer", self.socket.next()).await.unwrap().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Code and reason, when nothing more is said.
    pub(crate) async fn end(&mut self) -> (u16, String) {
        match self.hears().await {
            Heard::Closed(Some(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn closes(mut self) -> Heard {
        soon("a way to close", self.socket.close(None)).await.unwrap();
        self.hears().await
    }
}
