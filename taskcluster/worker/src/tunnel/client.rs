//! The client: a connection out, kept up, over which others come in.

use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use taskcluster_core::RetryPolicy;
use taskcluster_core::time::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::{self, handshake::client::Request};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::connection::{Connection, Cut, WAITING, websocket_config};
use super::mux::{SharedMux, Side};
use super::stream::TunnelStream;
use super::token::{NoToken, TunnelToken, TunnelTokens};
use crate::shell::client::{ShellError, encrypt};
use crate::wire::Wire;

/// The header with the name under which a client waits.
pub const TUNNEL_ID: HeaderName = HeaderName::from_static("x-websocktunnel-id");

/// The header that says where viewers find it.
pub const CLIENT_URL: HeaderName = HeaderName::from_static("x-websocktunnel-client-url");

/// How long making a connection may take.
const CONNECTING: Duration = Duration::from_secs(20);

/// A connection that has lasted for so long was a good one: the next attempt does not wait.
const GOOD: Duration = Duration::from_secs(30);

/// How long before its end a token is renewed, when nobody is served; and at the latest, in the midst of it.
const EARLY: Duration = Duration::from_secs(600);
const LATE: Duration = Duration::from_secs(60);

/// How often it is looked whether nobody is served, then.
const LOOK: Duration = Duration::from_secs(1);

/// Why a tunnel cannot be described so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The server's address is none.
    #[error("{0} is not the address of a tunnel server: it begins with http, https, ws or wss")]
    Server(Url),
    /// The name cannot be one.
    #[error("{0:?} cannot be the name of a client of a tunnel: it has letters, digits and _ ~ . % - only")]
    Id(String),
}

/// The way to a tunnel server, and the name under which to wait there.
#[derive(Debug)]
pub struct Tunnel {
    server: Url,
    id: String,
    tokens: Arc<dyn TunnelTokens>,
    url: watch::Sender<Option<Url>>,
}

impl Tunnel {
    /// Wait at the server under the name `id`, with tokens of this source.
    ///
    /// # Errors
    /// Address or name are none.
    pub fn new(server: Url, id: impl Into<String>, tokens: impl TunnelTokens + 'static) -> Result<Self, TunnelError> {
        let (id, tokens, url) = (id.into(), Arc::new(tokens), watch::Sender::new(None));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
        if id.is_empty() || !id.bytes().all(fits) {
            return Err(TunnelError::Id(id));
        }
        if !["http", "https", "ws", "wss"].contains(&server.scheme()) || server.host_str().is_none() {
            return Err(TunnelError::Server(server));
        }
        Ok(Self { server, id, tokens, url })
    }

    /// Where viewers find it, with a slash at the end; `None` until it was connected for the first time.
    #[must_use]
    pub fn url(&self) -> watch::Receiver<Option<Url>> {
        self.url.subscribe()
    }

    /// Connect once, to see whether that can be done: where viewers would find it. Whoever waits under the name is sent away.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(self) -> Result<Url, NoConnection> {
        let (guests, _) = mpsc::channel(1);
        let mut keeper = Keeper { tunnel: self, guests, token: None };
        let connected =
            timeout(CONNECTING, keeper.connect()).await.unwrap_or_else(|elapsed| Err(unreachable(&elapsed)))?;
        Ok(connected.url)
    }

    /// Connect, and stay connected until the listener is dropped.
    ///
    /// A connection that breaks is made anew, after waits that grow to half a minute; what went over it ends. Before a token
    /// ends it is renewed, as soon as nobody is served.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn listen(self) -> TunnelListener {
        let url = self.url();
        let (guests, arrivals) = mpsc::channel(WAITING);
        let keeper = Keeper { tunnel: self, guests, token: None };
        TunnelListener { arrivals, url, _keeper: AbortOnDropHandle::new(tokio::spawn(keeper.keep())) }
    }
}

/// Where those arrive who come in through a tunnel.
#[derive(Debug)]
pub struct TunnelListener {
    arrivals: mpsc::Receiver<TunnelStream>,
    url: watch::Receiver<Option<Url>>,
    _keeper: AbortOnDropHandle<()>,
}

impl TunnelListener {
    /// The next who comes.
    ///
    /// # Cancel safety
    /// Nobody is lost.
    pub async fn accept(&mut self) -> TunnelStream {
        match self.arrivals.recv().await {
            Some(stream) => stream.accept(),
            // The keeper goes with this listener.
            None => std::future::pending().await,
        }
    }

    /// Where viewers find it, as things are now.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        self.url.borrow().clone()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoConnection {
    /// Nobody gives leave.
    #[error("there is no token: {0}")]
    NoToken(#[source] NoToken),
    /// The server does not believe it.
    #[error("the token is refused, with status {0}")]
    Refused(StatusCode),
    /// The server does not want this client now.
    #[error("the server answers with status {0}")]
    Status(StatusCode),
    /// That is no tunnel server.
    #[error("the server does not say where viewers find this client")]
    NoUrl,
    /// Nobody answers.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
}

/// One connection, and until when its token is good.
struct Connected {
    socket: WebSocketStream<Box<dyn Wire>>,
    url: Url,
    expires: Timestamp,
}

/// Keeps a tunnel connected.
struct Keeper {
    tunnel: Tunnel,
    guests: mpsc::Sender<TunnelStream>,
    token: Option<TunnelToken>,
}

impl Keeper {
    async fn keep(mut self) {
        let waits = RetryPolicy::default().with_base(Duration::from_millis(500));
        let (server, id) = (self.tunnel.server.clone(), self.tunnel.id.clone());
        let mut failures: u32 = 0;
        loop {
            match timeout(CONNECTING, self.connect()).await.unwrap_or_else(|elapsed| Err(unreachable(&elapsed))) {
                Ok(connected) => {
                    tracing::info!(%server, tunnel.id = id, url = %connected.url, "the tunnel is open");
                    self.tunnel.url.send_replace(Some(connected.url.clone()));
                    let since = Instant::now();
                    let cut = self.attend(connected).await;
                    if matches!(cut, Cut::Ended) {
                        tracing::debug!(%server, tunnel.id = id, "the tunnel is opened anew with another token");
                    } else {
                        tracing::warn!(%server, tunnel.id = id, error = %cut, "the tunnel is closed; it is opened anew");
                    }
                    failures = if since.elapsed() >= GOOD { 0 } else { failures.saturating_add(1) };
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%server, tunnel.id = id, %error, "the tunnel cannot be opened; it is tried again");
                    } else {
                        tracing::debug!(%server, tunnel.id = id, %error, "the tunnel cannot be opened");
                    }
                    failures = failures.saturating_add(1);
                }
            }
            // Not all workers at the same time, even if it is the first attempt.
            sleep(waits.delay(failures.min(16), chance())).await;
        }
    }

    async fn connect(&mut self) -> Result<Connected, NoConnection> {
        let token = match self.token.take() {
            Some(token) if remaining(token.expires) > EARLY => token,
            _ => self.tunnel.tokens.token(&self.tunnel.id).await.map_err(NoConnection::NoToken)?,
        };
        let wire = dial(&self.tunnel.server).await?;
        let request = self.request(&token).ok_or_else(|| unreachable(&"its address is none"))?;
        let (socket, answer) = match client_async_with_config(request, wire, Some(websocket_config())).await {
            Ok(opened) => opened,
            Err(tungstenite::Error::Http(answer)) => {
                let status = answer.status();
                if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
                    return Err(NoConnection::Refused(status));
                }
                self.token = Some(token);
                return Err(NoConnection::Status(status));
            }
            Err(error) => {
                self.token = Some(token);
                return Err(unreachable(&error));
            }
        };
        let url = answer.headers().get(CLIENT_URL).and_then(|url| url.to_str().ok());
        let url = url.and_then(|url| Url::parse(&format!("{}/", url.trim_end_matches('/'))).ok());
        let expires = token.expires;
        self.token = Some(token);
        Ok(Connected { socket, url: url.ok_or(NoConnection::NoUrl)?, expires })
    }

    fn request(&self, token: &TunnelToken) -> Option<Request> {
        let mut server = self.tunnel.server.clone();
        let is_secret = ["https", "wss"].contains(&server.scheme());
        server.set_scheme(if is_secret { "wss" } else { "ws" }).ok()?;
        let mut request = server.as_str().into_client_request().ok()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.token.expose())).ok()?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(TUNNEL_ID, HeaderValue::try_from(&self.tunnel.id).ok()?);
        Some(request)
    }

    /// Until the connection ends, or is to be made with another token.
    async fn attend(&self, connected: Connected) -> Cut {
        let mux = SharedMux::new(Side::Accepting);
        let connection = Connection::new(connected.socket, mux.clone(), Some(self.guests.clone()));
        let life = remaining(connected.expires);
        let now = Instant::now();
        let (early, late) =
            (now + life.saturating_sub(EARLY.min(life / 4)), now + life.saturating_sub(LATE.min(life / 10)));
        let renewal = async {
            sleep_until(early).await;
            while Instant::now() < late && !mux.lock().is_idle() {
                sleep(LOOK.min(late - Instant::now())).await;
            }
            mux.lock().end();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            cut = connection.run() => cut,
            () = renewal => Cut::Ended,
        }
    }
}

async fn dial(server: &Url) -> Result<Box<dyn Wire>, NoConnection> {
    let host = server.host_str().unwrap_or_default();
    let is_secret = ["https", "wss"].contains(&server.scheme());
    let port = server.port().unwrap_or(if is_secret { 443 } else { 80 });
    let stream =
        TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| unreachable(&error))?;
    // Keys and small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    if !is_secret {
        return Ok(Box::new(stream));
    }
    encrypt(host, stream).await.map_err(|error| match error {
        ShellError::Unreachable(why) => NoConnection::Unreachable(why),
        other => unreachable(&other),
    })
}

fn unreachable(error: &dyn std::fmt::Display) -> NoConnection {
    NoConnection::Unreachable(error.to_string())
}

fn remaining(expires: Timestamp) -> Duration {
    expires.since(Timestamp::now())
}

/// Between 0 and 1.
fn chance() -> f64 {
    let mut byte = [128];
    // Where there is no chance at all, all wait for the same time.
    let _ = SystemRandom::new().fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
