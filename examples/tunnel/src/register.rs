//! How a client comes to be one: a websocket, with a token for its name.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::tunnel::{CLIENT_URL, Cut, Opener, TUNNEL_ID, websocket_config};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::clients::Full;
use crate::service::Shared;

/// How long a client may take from our answer to its websocket.
const UPGRADING: Duration = Duration::from_secs(20);

/// Let a client in, if it may.
pub(crate) fn register(shared: &Arc<Shared>, request: &mut Request) -> Response {
    let headers = request.headers();
    let Some(id) = headers.get(TUNNEL_ID) else {
        return refuse(StatusCode::NOT_FOUND, "viewers add the name of a client to this URL");
    };
    let Some(id) = id.to_str().ok().filter(|id| fits(id)).map(str::to_owned) else {
        return refuse(StatusCode::BAD_REQUEST, "the name has letters, digits and _ ~ . % - only");
    };
    let until = match bearer(headers) {
        None => return refuse(StatusCode::UNAUTHORIZED, "there is no token"),
        Some(token) => match shared.verifier.verify(token, &id, shared.clock.now()) {
            Ok(until) => until,
            Err(error) => {
                tracing::info!(tunnel.id = id, %error, "a client is refused");
                return refuse(StatusCode::UNAUTHORIZED, &format!("the token is no good: {error}"));
            }
        },
    };
    if request.method() != Method::GET || !is_websocket(headers) {
        return refuse(StatusCode::UPGRADE_REQUIRED, "a client opens a websocket here");
    }
    let Some(accept) = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes())) else {
        return refuse(StatusCode::BAD_REQUEST, "there is no Sec-WebSocket-Key");
    };
    let url = format!("{}/{id}", shared.public_url);
    let (Ok(accept), Ok(url)) = (HeaderValue::try_from(accept), HeaderValue::try_from(url)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Before the answer: whoever hears from the client of its URL finds it there.
    let client = Opener::new();
    match shared.clients.enter(&id, &client) {
        Ok(false) => tracing::info!(tunnel.id = id, "a client is here"),
        Ok(true) => tracing::info!(tunnel.id = id, "a client is here once more; the former connection ends"),
        Err(Full) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "there are too many clients"),
    }
    let upgrade = hyper::upgrade::on(request);
    shared.connections.spawn(attend(shared.clone(), id, client, upgrade, until));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (CLIENT_URL, url),
    ]);
    response
}

/// As long as the client is there, and its token good.
async fn attend(shared: Arc<Shared>, id: String, client: Opener, upgrade: OnUpgrade, until: Timestamp) {
    let _presence = Presence { shared: &shared, id: &id, client: &client };
    let serve = async {
        match tokio::time::timeout(UPGRADING, upgrade).await {
            Ok(Ok(upgraded)) => {
                let (role, config) = (Role::Server, Some(websocket_config()));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), role, config).await;
                client.clone().run(socket).await
            }
            Ok(Err(error)) => Cut::Broken(Box::new(error)),
            Err(elapsed) => Cut::Broken(Box::new(elapsed)),
        }
    };
    let end = async {
        tokio::select! {
            () = shared.shutdown.cancelled() => {}
            () = shared.clock.sleep_until(until) => tracing::info!(tunnel.id = id, "a client's token has expired"),
        }
        client.close();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        cut = serve => tracing::info!(tunnel.id = id, why = %cut, "a client has gone"),
        () = end => {}
    }
}

/// Among the clients, as long as this is there.
struct Presence<'a> {
    shared: &'a Shared,
    id: &'a str,
    client: &'a Opener,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.shared.clients.leave(self.id, self.client);
        self.client.close();
    }
}

fn fits(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let is = |name, value: &str| {
        headers.get(name).is_some_and(|found: &HeaderValue| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    is(header::UPGRADE, "websocket") && is(header::SEC_WEBSOCKET_VERSION, "13")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}
