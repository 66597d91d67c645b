//! How readers of live logs and visitors of shells come in: by plain HTTP, or by HTTPS with a certificate that is renewed while the worker runs.

use std::io;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::path::Path;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::connections::answer;
#[cfg(feature = "tls")]
use super::tls::Tls;
#[cfg(feature = "interactive")]
use crate::shell::link::Wire;

/// The way in.
#[derive(Debug)]
pub(in crate::plugins) enum Door {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Door {
    /// With a certificate chain and its key, in files of PEM.
    #[cfg(feature = "tls")]
    pub(in crate::plugins) fn tls(certificate: &Path, key: &Path) -> io::Result<Self> {
        Ok(Self::Tls(Tls::open(certificate, key)?))
    }

    /// Listen on `address`. Others reach it at `base`, by default at the address itself.
    pub(in crate::plugins) async fn listen(
        &self,
        address: SocketAddr,
        base: Option<Url>,
    ) -> io::Result<(TcpListener, Url)> {
        let listener = TcpListener::bind(address).await?;
        let scheme = match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        };
        let own = format!("{scheme}://{}/", listener.local_addr()?);
        let base = base.map_or_else(|| Url::parse(&own).map_err(io::Error::other), Ok)?;
        Ok((listener, base))
    }

    /// What one visitor says, in plain; `None` if the handshake comes to nothing.
    #[cfg(feature = "interactive")]
    pub(in crate::plugins) async fn unlock(&self, stream: TcpStream) -> Option<Box<dyn Wire>> {
        match self {
            Self::Plain => Some(Box::new(stream)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Some(Box::new(tls.greet(stream).await?)),
        }
    }

    /// Serve one reader.
    pub(super) async fn pass(&self, stream: TcpStream, router: Router) {
        match self {
            Self::Plain => answer(stream, router).await,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                if let Some(stream) = tls.greet(stream).await {
                    answer(stream, router).await;
                }
            }
        }
    }
}
