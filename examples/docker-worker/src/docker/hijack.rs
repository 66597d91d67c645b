//! Connections that the Docker engine takes over: the raw terminal of a container.
//!
//! The client library would take output that begins with a small byte for the header of a frame, and wait for as much as a
//! task makes it believe. A terminal has no frames: its bytes are passed on as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use taskcluster_worker::error::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::Address;

/// Both directions of a terminal.
#[derive(Debug)]
pub(crate) struct Stream {
    io: TokioIo<Upgraded>,
    _connection: AbortOnDropHandle<()>,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Address {
    pub(super) async fn hijack(&self, path: &str) -> Result<Stream> {
        let refused = |error| Error::worker_caused("cannot connect to the Docker engine", error);
        match self {
            Self::Unix(socket) => upgrade(UnixStream::connect(socket).await.map_err(refused)?, path).await,
            Self::Tcp(name) => upgrade(TcpStream::connect(name).await.map_err(refused)?, path).await,
        }
    }
}

async fn upgrade<S>(socket: S, path: &str) -> Result<Stream>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| Error::worker_caused("cannot attach to a container", error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(socket)).await.map_err(failed)?;
    #[expect(clippy::disallowed_methods, reason = "it lives as long as the stream")]
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the Docker engine has ended");
        }
    }));
    let request = Request::post(path)
        .header(header::HOST, "docker")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "tcp")
        .body(Empty::new())
        .map_err(|error| Error::worker_caused("cannot attach to a container", error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let text = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        return Err(Error::worker(format!("Docker does not attach to a container: {status} {text}")));
    }
    let io = TokioIo::new(hyper::upgrade::on(response).await.map_err(failed)?);
    Ok(Stream { io, _connection: connection })
}
