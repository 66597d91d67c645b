//! How readers of live logs and visitors of shells come in: by plain HTTP, by HTTPS with a certificate that is renewed while the
//! worker runs, or through a tunnel.

use std::io;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::time::Duration;

use axum::serve::Listener as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
use self::tls::Tls;
use crate::error::{Error, Result};
#[cfg(feature = "tunnel")]
use crate::tunnel::{Tunnel, TunnelListener, TunnelStream};
use crate::wire::Wire;

/// How long a worker's start waits for a tunnel; it goes on without.
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// Where readers of live logs ([`LiveLog::at`](super::LiveLog::at)) and visitors of shells (`Interactive::at`) come in: by HTTP at an
/// address, by HTTPS there (feature `tls`), or through a tunnel (feature `tunnel`).
///
/// ```
/// use std::net::SocketAddr;
///
/// use taskcluster_worker::plugins::{Entrance, LiveLog};
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// // Behind a proxy that speaks HTTPS for this machine.
/// let entrance = Entrance::at(SocketAddr::from(([127, 0, 0, 1], 0)));
/// let live_log = LiveLog::at(entrance.reached_at(url::Url::parse("https://machine-1.example.com/").ok())).await?;
/// # drop(live_log);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Entrance {
    way: Way,
    base: Option<Url>,
    #[cfg(feature = "tls")]
    certificate: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
enum Way {
    Address(SocketAddr),
    #[cfg(feature = "tunnel")]
    Tunnel(Box<Tunnel>),
}

impl From<SocketAddr> for Entrance {
    fn from(address: SocketAddr) -> Self {
        Self::at(address)
    }
}

impl Entrance {
    /// At this address; port 0 stands for any that is free.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self::by(Way::Address(address))
    }

    /// Through a tunnel, where nobody can reach this machine. A worker waits some seconds for it to open before it begins; after that
    /// what is behind it is shown as soon as it opens, to runs that are under way as well.
    #[cfg(feature = "tunnel")]
    #[must_use]
    pub fn through(tunnel: Tunnel) -> Self {
        Self::by(Way::Tunnel(Box::new(tunnel)))
    }

    fn by(way: Way) -> Self {
        Self {
            way,
            base: None,
            #[cfg(feature = "tls")]
            certificate: None,
        }
    }

    /// What others call it by, with a slash at the end, where that is not the address itself. A tunnel's server knows that better.
    #[must_use]
    pub fn reached_at(mut self, base: impl Into<Option<Url>>) -> Self {
        self.base = base.into();
        self
    }

    /// By HTTPS, with a certificate chain and its key in files of PEM. They are read anew when they have changed; a worker goes on
    /// with the former certificate while the new one cannot be used. What comes through a tunnel was encrypted by its server.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Listen. `what` is found there.
    ///
    /// # Errors
    /// The address cannot be listened on, or the files make no certificate.
    pub(super) async fn build(self, what: &'static str) -> io::Result<(Threshold, Base, Door)> {
        #[cfg(feature = "tls")]
        let door = match &self.certificate {
            Some((certificate, key)) => Door::Tls(Tls::open(certificate, key)?),
            None => Door::Plain,
        };
        #[cfg(not(feature = "tls"))]
        let door = Door::Plain;
        match self.way {
            Way::Address(address) => {
                let listener = TcpListener::bind(address).await?;
                let own = format!("{}://{}/", door.scheme(), listener.local_addr()?);
                let base = self.base.map_or_else(|| Url::parse(&own).map_err(io::Error::other), Ok)?;
                Ok((Threshold::Tcp(listener.into_std()?), Base::fixed(base, what), door))
            }
            #[cfg(feature = "tunnel")]
            Way::Tunnel(tunnel) => {
                let base = Base { url: tunnel.url(), what };
                Ok((Threshold::Tunnel(tunnel), base, door))
            }
        }
    }
}

/// How visitors are spoken with.
#[derive(Debug)]
pub(super) enum Door {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Door {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        }
    }

    /// What one visitor says, in plain; `None` if the handshake comes to nothing.
    pub(super) async fn unlock(&self, visitor: Visitor) -> Option<Box<dyn Wire>> {
        match (self, visitor) {
            (Self::Plain, Visitor::Tcp(stream)) => Some(Box::new(stream)),
            #[cfg(feature = "tls")]
            (Self::Tls(tls), Visitor::Tcp(stream)) => Some(Box::new(tls.greet(stream).await?)),
            #[cfg(feature = "tunnel")]
            (_, Visitor::Tunnel(stream)) => Some(Box::new(stream)),
        }
    }
}

/// Where visitors come in, before anybody stands there.
#[derive(Debug)]
pub(super) enum Threshold {
    Tcp(std::net::TcpListener),
    #[cfg(feature = "tunnel")]
    Tunnel(Box<Tunnel>),
}

impl Threshold {
    /// Stand there. Visitors are attended to by the runtime in which this is called.
    pub(super) fn open(self) -> io::Result<Visitors> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Visitors::Tcp),
            #[cfg(feature = "tunnel")]
            Self::Tunnel(tunnel) => Ok(Visitors::Tunnel(tunnel.listen())),
        }
    }
}

/// Those who come in.
#[derive(Debug)]
pub(super) enum Visitors {
    Tcp(TcpListener),
    #[cfg(feature = "tunnel")]
    Tunnel(TunnelListener),
}

impl Visitors {
    /// The next. It goes on after errors of single connections, and waits while there are no more file handles.
    ///
    /// # Cancel safety
    /// Nobody is lost.
    pub(super) async fn next(&mut self) -> Visitor {
        match self {
            Self::Tcp(listener) => Visitor::Tcp(listener.accept().await.0),
            #[cfg(feature = "tunnel")]
            Self::Tunnel(listener) => Visitor::Tunnel(listener.accept().await),
        }
    }
}

/// One who came in.
#[derive(Debug)]
pub(super) enum Visitor {
    Tcp(TcpStream),
    #[cfg(feature = "tunnel")]
    Tunnel(TunnelStream),
}

impl Visitor {
    /// The connection of its own that it has, if it has one.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            #[cfg(feature = "tunnel")]
            Self::Tunnel(_) => None,
        }
    }
}

/// Where visitors find what is behind a door, as things are now.
#[derive(Clone, Debug)]
pub(super) struct Base {
    url: watch::Receiver<Option<Url>>,
    what: &'static str,
}

impl Base {
    fn fixed(url: Url, what: &'static str) -> Self {
        Self { url: watch::channel(Some(url)).1, what }
    }

    /// Whether there is an address. There is none until a tunnel was open for the first time.
    pub(super) fn is_known(&self) -> bool {
        self.url.borrow().is_some()
    }

    /// The address of something below it, as soon as there is one.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn join(&self, path: &str) -> Result<Url> {
        let failed = |why: String| Error::worker(format!("{} have no address: {why}", self.what));
        let mut url = self.url.clone();
        let known = url.wait_for(Option::is_some).await;
        let known = known.map_err(|_| failed("the tunnel is gone".to_owned()))?;
        let base = known.as_ref().ok_or_else(|| failed("the tunnel is not open".to_owned()))?;
        base.join(path).map_err(|error| failed(error.to_string()))
    }

    /// Wait until a tunnel is open; but not for long, since tasks can be run all the same.
    pub(super) async fn known(&self) {
        let mut url = self.url.clone();
        if tokio::time::timeout(FIRST_CONNECTION, url.wait_for(Option::is_some)).await.is_err() {
            tracing::warn!("the tunnel is not open yet: {} are shown once it is", self.what);
        }
    }
}
