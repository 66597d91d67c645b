//! A tunnel server that is written here from the protocol's description: its frames are bytes.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use taskcluster_core::time::Timestamp;
use taskcluster_worker::tunnel::{NoToken, Tunnel, TunnelListener, TunnelStream, TunnelToken, TunnelTokens};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("it comes to an end")
}

/// Tokens that say how often they were asked for.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) asked: mpsc::UnboundedSender<String>,
    pub(crate) life: Duration,
}

#[async_trait]
impl TunnelTokens for Numbered {
    async fn token(&self, id: &str) -> Result<TunnelToken, NoToken> {
        // Not every test wants to know.
        let _ = self.asked.send(id.to_owned());
        Ok(TunnelToken { token: "a.b.c".into(), expires: Timestamp::now() + self.life })
    }
}

pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// A tunnel to it, and who asks for tokens.
    pub(crate) fn tunnel(&self, life: Duration) -> (Tunnel, mpsc::UnboundedReceiver<String>) {
        let (asked, asking) = mpsc::unbounded_channel();
        let url = format!("http://{}/at", self.address).parse().unwrap();
        (Tunnel::new(url, "group.worker.log", Numbered { asked, life }).unwrap(), asking)
    }

    pub(crate) fn client(&self, life: Duration) -> (TunnelListener, mpsc::UnboundedReceiver<String>) {
        let (tunnel, asking) = self.tunnel(life);
        (tunnel.listen(), asking)
    }

    /// Let a client in, of which the server says that it is at `url`.
    pub(crate) async fn accept(&self, url: &str) -> Raw {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        Raw::accept(stream, url).await
    }
}

/// A server's side of the websocket.
pub(crate) struct Raw<S = TcpStream>(pub(crate) WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Let a client in that has connected.
    pub(crate) async fn accept(stream: S, url: &str) -> Self {
        #[expect(clippy::result_large_err, reason = "the library says what is given back")]
        let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.uri().path(), "/at");
            assert_eq!(request.headers()["authorization"], "Bearer a.b.c");
            assert_eq!(request.headers()["x-websocktunnel-id"], "group.worker.log");
            response.headers_mut().insert("x-websocktunnel-client-url", url.parse().unwrap());
            Ok(response)
        };
        Self(soon(accept_hdr_async(stream, check)).await.unwrap())
    }

    pub(crate) async fn say(&mut self, bytes: impl Into<Vec<u8>>) {
        soon(self.0.send(Message::Binary(bytes.into().into()))).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Vec<u8> {
        loop {
            match soon(self.0.next()).await.expect("it goes on").unwrap() {
                Message::Binary(bytes) => return bytes.to_vec(),
                Message::Close(_) => panic!("it was closed"),
                _ => {}
            }
        }
    }

    /// Until it ends, one way or another.
    pub(crate) async fn until_closed(&mut self) {
        while let Some(Ok(message)) = soon(self.0.next()).await {
            if message.is_close() {
                break;
            }
        }
    }

    /// Open stream `id`, to whom our client gives so much room.
    pub(crate) async fn open(&mut self, id: u8, listener: &mut TunnelListener) -> (TunnelStream, u32) {
        self.say([1, id, 0, 0, 0]).await;
        let stream = soon(listener.accept()).await;
        let ack = self.hear().await;
        assert_eq!((ack.len(), &ack[..5]), (9, &[2, id, 0, 0, 0][..]));
        (stream, u32::from_le_bytes(ack[5..].try_into().unwrap()))
    }
}

pub(crate) fn data(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[0, id, 0, 0, 0], bytes].concat()
}

pub(crate) fn ack(id: u8, bytes: u32) -> Vec<u8> {
    [&[2, id, 0, 0, 0][..], &bytes.to_le_bytes()].concat()
}
