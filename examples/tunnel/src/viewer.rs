//! What a viewer asks of a client: any request, passed on as it comes, and the answer passed back as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use taskcluster_worker::tunnel::{Opener, TunnelStream};
use tokio::io::AsyncWriteExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::service::Shared;

/// For how long a client may leave a viewer standing.
const ACCEPTING: Duration = Duration::from_secs(30);

/// For how long it may think of its answer, until the head is there.
const ANSWERING: Duration = Duration::from_secs(120);

/// How long the head of an answer may be.
const HEAD: usize = 64 * 1024;

/// The header that tells a client what the viewer asked for.
const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-websocktunnel-original-path");

/// What is said between two neighbours only (RFC 9110, section 7.6.1).
const BETWEEN_NEIGHBOURS: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a viewer does not mean for whoever is behind the tunnel: all clients, and maybe other services, share an origin.
const NOT_FOR_CLIENTS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::EXPECT];

/// What a client has no say in, for the same reason.
const NOT_FOR_VIEWERS: [HeaderName; 3] =
    [header::SET_COOKIE, header::STRICT_TRANSPORT_SECURITY, HeaderName::from_static("clear-site-data")];

/// Pages of clients are not of the origin that they seem to be of, so they can do nothing there.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-scripts");

/// Pass a request on to a client, as one for `target`.
pub(crate) async fn pass(shared: &Shared, client: &Opener, target: &str, mut request: Request) -> Response {
    let Ok(target) = Uri::try_from(target) else { return refuse(StatusCode::BAD_REQUEST, "this is no path") };
    let stream = match tokio::time::timeout(ACCEPTING, client.open()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return refuse_stream(&error),
        Err(_) => return refuse(StatusCode::GATEWAY_TIMEOUT, "the client does not answer"),
    };
    let wants_upgrade = upgrade_of(request.headers());
    let upgrade = wants_upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let request = forwarded(request, target, wants_upgrade);
    let (mut response, connection) = match tokio::time::timeout(ANSWERING, ask(shared, stream, request)).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client gives no answer");
            return refuse(StatusCode::BAD_GATEWAY, "the client gives no answer");
        }
        Err(_) => return refuse(StatusCode::GATEWAY_TIMEOUT, "the client gives no answer in time"),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return answered(response, connection);
    }
    let (Some(viewer), Some(protocol)) = (upgrade, upgrade_of(response.headers())) else {
        return refuse(StatusCode::BAD_GATEWAY, "the client changes the protocol, which nobody asked for");
    };
    let client = hyper::upgrade::on(&mut response);
    shared.connections.spawn(async move {
        join(viewer, client).await;
        drop(connection);
    });
    let (parts, _) = response.into_parts();
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    *response.headers_mut() = parts.headers;
    clean(response.headers_mut(), &NOT_FOR_VIEWERS);
    set_upgrade(response.headers_mut(), protocol);
    response
}

/// The request as the client gets it.
fn forwarded(request: Request, target: Uri, upgrade: Option<HeaderValue>) -> Request {
    let (mut parts, body) = request.into_parts();
    let original = HeaderValue::try_from(parts.uri.path());
    clean(&mut parts.headers, &NOT_FOR_CLIENTS);
    if let Some(protocol) = upgrade {
        set_upgrade(&mut parts.headers, protocol);
    }
    if let Ok(original) = original {
        parts.headers.insert(ORIGINAL_PATH, original);
    }
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (parts.method, target, parts.headers);
    request
}

type Connection = AbortOnDropHandle<()>;

/// The client's answer, and what it goes over: the stream ends when that is dropped.
async fn ask(
    shared: &Shared,
    stream: TunnelStream,
    request: Request,
) -> hyper::Result<(http::Response<Incoming>, Connection)> {
    let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    let connection = AbortOnDropHandle::new(shared.connections.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "what goes through a tunnel breaks");
        }
    }));
    Ok((sender.send_request(request).await?, connection))
}

fn answered(response: http::Response<Incoming>, connection: Connection) -> Response {
    let (mut parts, body) = response.into_parts();
    clean(&mut parts.headers, &NOT_FOR_VIEWERS);
    parts.headers.append(header::CONTENT_SECURITY_POLICY, SANDBOX);
    let mut response = Response::new(Body::new(Passed { body, _connection: connection }));
    (*response.status_mut(), *response.headers_mut()) = (parts.status, parts.headers);
    response
}

/// Both say what they like from now on, until one of them has said all.
async fn join(viewer: OnUpgrade, client: OnUpgrade) {
    let Ok(Ok((viewer, client))) = tokio::time::timeout(ACCEPTING, async { tokio::try_join!(viewer, client) }).await
    else {
        return;
    };
    let (mut from_viewer, mut to_viewer) = tokio::io::split(TokioIo::new(viewer));
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let _ = tokio::select! {
        copied = tokio::io::copy(&mut from_viewer, &mut to_client) => copied,
        copied = tokio::io::copy(&mut from_client, &mut to_viewer) => copied,
    };
    let _ = tokio::join!(to_viewer.shutdown(), to_client.shutdown());
}

/// Which protocol is to be spoken instead of HTTP.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let names = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = names.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| named).cloned()
}

fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Take out what is not passed on.
fn clean(headers: &mut HeaderMap, more: &[HeaderName]) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&BETWEEN_NEIGHBOURS).chain(more) {
        headers.remove(name);
    }
}

fn refuse_stream(error: &io::Error) -> Response {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => refuse(StatusCode::SERVICE_UNAVAILABLE, "the client has too many viewers"),
        io::ErrorKind::ConnectionRefused => refuse(StatusCode::SERVICE_UNAVAILABLE, "the client takes no more viewers"),
        _ => refuse(StatusCode::BAD_GATEWAY, "the client has gone"),
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// An answer's body. The stream that it comes over ends with it: a viewer that has gone is nobody's burden.
struct Passed {
    body: Incoming,
    _connection: Connection,
}

impl http_body::Body for Passed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
