//! How readers come in: by plain HTTP, or by HTTPS with a certificate that is renewed while the worker runs.

use axum::Router;
use tokio::net::TcpStream;

use super::connections::answer;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// The way in.
#[derive(Debug)]
pub(super) enum Door {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Door {
    /// The scheme of URLs that lead here.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
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
