//! How readers of live logs and visitors of shells come in: by plain HTTP, by HTTPS with a certificate that is renewed while the
//! worker runs, or through a tunnel.

use std::io;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::path::Path;
#[cfg(feature = "tunnel")]
use std::time::Duration;

use axum::serve::Listener as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
use self::tls::Tls;
#[cfg(feature = "tunnel")]
use crate::tunnel::{Tunnel, TunnelListener, TunnelStream};
use crate::wire::Wire;

/// How long a worker's start waits for a tunnel; it goes on without.
#[cfg(feature = "tunnel")]
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// The way in.
#[derive(Debug)]
pub(super) enum Door {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Door {
    /// With a certificate chain and its key, in files of PEM.
    #[cfg(feature = "tls")]
    pub(super) fn tls(certificate: &Path, key: &Path) -> io::Result<Self> {
        Ok(Self::Tls(Tls::open(certificate, key)?))
    }

    /// Listen on `address`. Others reach it at `base`, by default at the address itself.
    pub(super) async fn listen(&self, address: SocketAddr, base: Option<Url>) -> io::Result<(Entrance, Base)> {
        let listener = TcpListener::bind(address).await?;
        let scheme = match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        };
        let own = format!("{scheme}://{}/", listener.local_addr()?);
        let base = base.map_or_else(|| Url::parse(&own).map_err(io::Error::other), Ok)?;
        Ok((Entrance::Tcp(listener.into_std()?), Base::fixed(base)))
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
pub(super) enum Entrance {
    Tcp(std::net::TcpListener),
    #[cfg(feature = "tunnel")]
    Tunnel(Box<Tunnel>),
}

impl Entrance {
    /// Through a tunnel, and where that leads to.
    #[cfg(feature = "tunnel")]
    pub(super) fn through(tunnel: Tunnel) -> (Self, Base) {
        let base = Base(tunnel.url());
        (Self::Tunnel(Box::new(tunnel)), base)
    }

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
pub(super) struct Base(watch::Receiver<Option<Url>>);

/// Why something has no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAddress {
    #[error("the tunnel is not open yet")]
    NotYet,
    #[error("its address is none: {0}")]
    Url(#[from] url::ParseError),
}

impl Base {
    fn fixed(url: Url) -> Self {
        Self(watch::channel(Some(url)).1)
    }

    /// The address of something below it.
    pub(super) fn join(&self, path: &str) -> Result<Url, NoAddress> {
        Ok(self.0.borrow().as_ref().ok_or(NoAddress::NotYet)?.join(path)?)
    }

    /// Until a tunnel is open; but not for long, since tasks can be run all the same.
    #[cfg(feature = "tunnel")]
    pub(super) async fn known(&mut self, what: &str) {
        let known = self.0.wait_for(Option::is_some);
        if tokio::time::timeout(FIRST_CONNECTION, known).await.is_err() {
            tracing::warn!("the tunnel for {what} is not open yet; tasks are run without");
        }
    }
}
