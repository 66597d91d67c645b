//! Connections that the Docker engine takes over: the raw terminal of a container, the streams of a program in it.
//!
//! The client library would take output that begins with a small byte for the header of a frame, and wait for as much as a
//! task makes it believe. A terminal has no frames: its bytes are passed on as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use taskcluster_worker::error::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::Address;

/// Both directions. Shutting it down ends what goes to the engine; what comes from there goes on.
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

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Address {
    /// Post `body`, which is JSON or empty, and take the connection over.
    pub(super) async fn hijack(&self, path: &str, body: Bytes) -> Result<Stream> {
        let refused = |error| Error::worker_caused("cannot connect to the Docker engine", error);
        match self {
            Self::Unix(socket) => upgrade(UnixStream::connect(socket).await.map_err(refused)?, path, body).await,
            Self::Tcp(name) => upgrade(TcpStream::connect(name).await.map_err(refused)?, path, body).await,
        }
    }
}

async fn upgrade<S>(socket: S, path: &str, body: Bytes) -> Result<Stream>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| Error::worker_caused("cannot attach to what runs in a container", error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(socket)).await.map_err(failed)?;
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
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| Error::worker_caused("cannot attach to what runs in a container", error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let text = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        return Err(Error::worker(format!("Docker does not attach to what runs in a container: {status} {text}")));
    }
    let io = TokioIo::new(hyper::upgrade::on(response).await.map_err(failed)?);
    Ok(Stream { io, _connection: connection })
}
