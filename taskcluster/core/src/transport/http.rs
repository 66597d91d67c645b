//! The transport over HTTP, by reqwest: HTTP/1.1, and with the feature `http2` what the server prefers.

#[cfg(feature = "rustls")]
mod tls;

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower::Service;

use super::{Body, BoxError, Transport, TransportError, TransportErrorKind};
use crate::error::chain;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an idle connection is kept; shorter than the 90 s after which TaskCluster's services close theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends requests over HTTP. Clones share one pool of connections.
///
/// It follows no redirects, knows no cookies and uses no proxy of the environment. TLS is that of the crate's features:
/// with `rustls` the process's default provider, or ring if there is none, and the certificates of the platform. A
/// machine without any still speaks plain HTTP.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    /// Why `https` cannot work here.
    no_tls: Option<&'static str>,
}

impl HttpTransport {
    /// A transport with a pool of its own. Takes milliseconds and loads the platform's certificates: make one and share
    /// it.
    ///
    /// # Errors
    /// [`TransportErrorKind::Request`] if the TLS library cannot be set up.
    pub fn new() -> Result<Self, TransportError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true);
        #[cfg(feature = "rustls")]
        let (builder, no_tls) = {
            let (config, no_tls) = tls::config()?;
            (builder.tls_backend_preconfigured(config), no_tls)
        };
        #[cfg(not(feature = "rustls"))]
        let no_tls = (!cfg!(feature = "native-tls")).then_some("this program was built without TLS");
        let client = builder.build().map_err(|error| TransportError::new(TransportErrorKind::Request, error))?;
        Ok(Self { client, no_tls })
    }

    /// A transport over a client that you have configured yourself. It must not follow redirects, since a 303 of the
    /// queue is an answer.
    #[must_use]
    pub fn with_client(client: reqwest::Client) -> Self {
        Self { client, no_tls: None }
    }

    /// The transport in the form in which a caller takes it.
    #[must_use]
    pub fn into_transport(self) -> Transport {
        Transport::new(self)
    }

    fn request(&self, request: Request<Body>) -> Result<reqwest::Request, TransportError> {
        let refuse = |error: BoxError| TransportError::new(TransportErrorKind::Request, error);
        let (parts, body) = request.into_parts();
        if let Some(reason) = self.no_tls
            && parts.uri.scheme() == Some(&http::uri::Scheme::HTTPS)
        {
            return Err(refuse(reason.into()));
        }
        let mut url = String::with_capacity(256);
        let _ = write!(url, "{}", parts.uri);
        let url = reqwest::Url::parse(&url).map_err(|error| refuse(error.into()))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        if let Some(length) = http_body::Body::size_hint(&body).exact().filter(|length| *length > 0) {
            // A stream whose length is known need not be sent in chunks, which the stores of artifacts do not take.
            request.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        }
        *request.body_mut() = match body.into_bytes() {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => Some(bytes.into()),
            Err(stream) => Some(reqwest::Body::wrap(Streamed(Mutex::new(stream)))),
        };
        Ok(request)
    }
}

impl From<HttpTransport> for Transport {
    fn from(http: HttpTransport) -> Self {
        http.into_transport()
    }
}

impl Service<Request<Body>> for HttpTransport {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.client.clone();
        let request = self.request(request);
        Box::pin(async move {
            let answer = client.execute(request?).await.map_err(failure)?;
            let answer: Response<reqwest::Body> = answer.into();
            Ok(answer.map(Body::new))
        })
    }
}

/// A body that threads may share, which is what reqwest asks of bodies. They never do: only who owns it reads it.
struct Streamed(Mutex<Body>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Sorts reqwest's errors by what they mean for a repetition.
fn failure(error: reqwest::Error) -> TransportError {
    #[cfg(feature = "rustls")]
    let refused = tls::refused(&error);
    #[cfg(not(feature = "rustls"))]
    let refused = false;
    let kind = if error.is_builder() || refused {
        TransportErrorKind::Request
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Interrupted
    };
    // The URL may hold a bewit or a signature, which are as good as a password.
    // reqwest's own message says little; what happened is in its sources.
    let mut said = chain(&error.without_url()).to_string();
    // What rustls makes of an answer that is no TLS.
    if said.contains("InvalidContentType") {
        said.push_str(" (plain HTTP behind an https URL?)");
    }
    TransportError::new(kind, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_certificates_https_says_so() {
        let client = HttpTransport::new().unwrap().client;
        let transport = HttpTransport { client, no_tls: Some("no certificates here") }.into_transport();
        let request = Request::get("https://127.0.0.1:1/").body(Body::empty()).unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(chain(&error).to_string(), "the request cannot be sent: no certificates here");
        // Bound but not listening: a port that refuses.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let plain = format!("http://{}/", socket.local_addr().unwrap());
        let request = Request::get(plain).body(Body::empty()).unwrap();
        assert_eq!(transport.send(request).await.unwrap_err().kind(), TransportErrorKind::Connect);
    }

    #[cfg(feature = "rustls")]
    #[tokio::test]
    async fn plain_http_behind_an_https_url_is_guessed() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            // Read to its end, so that the answer is not lost to a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let client = HttpTransport::new().unwrap().client;
        let transport = HttpTransport { client, no_tls: None }.into_transport();
        let error = transport.send(Request::get(url).body(Body::empty()).unwrap()).await.unwrap_err();
        let told = chain(&error).to_string();
        assert!(told.ends_with("(plain HTTP behind an https URL?)"), "{told}");
        server.await.unwrap();
    }
}
