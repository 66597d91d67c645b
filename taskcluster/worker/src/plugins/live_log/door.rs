//! How readers of live logs and visitors of shells come in: by plain HTTP, or by HTTPS with a certificate that is renewed while the worker runs.

#[cfg(feature = "tls")]
use std::io;
#[cfg(feature = "tls")]
use std::path::Path;

use axum::Router;
use tokio::net::TcpStream;

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

    /// The scheme of URLs that lead here.
    pub(in crate::plugins) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        }
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
