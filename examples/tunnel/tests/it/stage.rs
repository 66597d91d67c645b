//! A server, those who connect to it, and viewers.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use ring::hmac;
use serde_json::{Value, json};
use taskcluster_core::clock::{Clock as _, SystemClock};
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_tunnel::{Options, TunnelService};
use taskcluster_worker::tunnel::{NoToken, Tunnel, TunnelListener, TunnelStream, TunnelToken, TunnelTokens};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
pub(crate) const SECRET: &str = "the secret of this time";
pub(crate) const FORMER: &str = "the secret of another time";

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("it comes to an end")
}

/// Waits for something that happens elsewhere.
pub(crate) async fn until<F: Future<Output = Option<T>>, T>(mut look: impl FnMut() -> F) -> T {
    soon(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with("127.0.0.1:0".parse().unwrap(), |options| options).await
    }

    pub(crate) async fn with(address: SocketAddr, change: impl FnOnce(Options) -> Options) -> Self {
        let listener = until(|| async { TcpListener::bind(address).await.ok() }).await;
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let url = format!("http://{address}").parse().unwrap();
        let options = Options::new([SECRET.into(), FORMER.into()], url).with_audience("here");
        let service = TunnelService::new(change(options.with_shutdown(shutdown.clone())));
        let (router, background) = (service.router(""), service.background());
        let running = tokio::spawn(service_kit::service::run(listener, router, background, shutdown.clone()));
        Self { address, shutdown, running }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        soon(self.running).await.unwrap().unwrap();
    }

    /// The SDK's client, with whatever token it wants.
    pub(crate) fn listen(&self, id: &str) -> TunnelListener {
        let url = format!("http://{}", self.address).parse().unwrap();
        Tunnel::new(url, id, Signed).unwrap().listen()
    }

    /// A client whose frames the test writes.
    pub(crate) async fn connect(&self, id: &str, token: &str) -> Result<Raw, tungstenite::Error> {
        let mut request = format!("ws://{}/", self.address).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request.headers_mut().insert("x-websocktunnel-id", id.parse().unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, answer) = soon(client_async(request, stream)).await?;
        let url = format!("http://{}/{id}", self.address);
        assert_eq!(answer.headers()["x-websocktunnel-client-url"], url.as_str());
        Ok(Raw(socket))
    }

    /// A viewer that asks for `path`.
    pub(crate) async fn ask(&self, path: &str) -> Speaker<TcpStream> {
        let mut viewer = Speaker::new(TcpStream::connect(self.address).await.unwrap());
        viewer.say(format!("GET {path} HTTP/1.1\r\nhost: viewer\r\nconnection: close\r\n\r\n").as_bytes()).await;
        viewer
    }

    /// What a viewer gets that asks for `path`.
    pub(crate) async fn answer(&self, path: &str) -> String {
        String::from_utf8(self.ask(path).await.rest().await.unwrap()).unwrap()
    }
}

/// Until the SDK's client is there.
pub(crate) async fn open(listener: &TunnelListener) {
    until(|| async { listener.url() }).await;
}

/// A token of the usual kind, in which some claims are others.
pub(crate) fn token(id: &str, change: &Value) -> String {
    let now = SystemClock.now().as_seconds();
    let mut claims = json!({"tid": id, "iat": now, "nbf": now - 900, "exp": now + 3600, "aud": "here"});
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET)
}

pub(crate) fn signed(head: &Value, claims: &Value, secret: &str) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(head), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

#[derive(Debug)]
struct Signed;

#[async_trait]
impl TunnelTokens for Signed {
    async fn token(&self, id: &str) -> Result<TunnelToken, NoToken> {
        Ok(TunnelToken { token: token(id, &json!({})).into(), expires: Timestamp::now() + hours(1) })
    }
}

/// A client's side of the websocket, where frames are bytes.
pub(crate) struct Raw(pub(crate) WebSocketStream<TcpStream>);

impl Raw {
    pub(crate) async fn say(&mut self, bytes: impl Into<Vec<u8>>) {
        soon(self.0.send(Message::Binary(bytes.into().into()))).await.unwrap();
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Binary(bytes))) => return Some(bytes.to_vec()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

/// One side of a conversation in HTTP, which the test writes and reads itself.
pub(crate) struct Speaker<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Speaker<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// What comes until, and with, these bytes.
    pub(crate) async fn through(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.buffer.windows(wanted.len()).position(|window| window == wanted.as_bytes()) {
                let rest = self.buffer.split_off(at + wanted.len());
                return String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap();
            }
            let read = soon(self.stream.read_buf(&mut self.buffer)).await.unwrap();
            assert!(read > 0, "it ended: {}", self.buffer.escape_ascii());
        }
    }

    /// A head, in small letters.
    pub(crate) async fn head(&mut self) -> String {
        self.through("\r\n\r\n").await.to_lowercase()
    }

    /// All that comes until the end.
    pub(crate) async fn rest(mut self) -> std::io::Result<Vec<u8>> {
        soon(self.stream.read_to_end(&mut self.buffer)).await?;
        Ok(self.buffer)
    }
}

/// Who came through a tunnel.
pub(crate) async fn next(listener: &mut TunnelListener) -> Speaker<TunnelStream> {
    Speaker::new(soon(listener.accept()).await)
}
