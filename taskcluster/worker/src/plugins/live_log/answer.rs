//! What a reader gets: the log or a part of it, also in a page of another origin.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use super::range::{Extent, Unsatisfiable};
use crate::log::{Follower, TaskLog};
use crate::plugins::shelf::Shelf;
use crate::plugins::task_log::LOG_CONTENT_TYPE;

/// Headers that a page of another origin may look at.
const EXPOSED: &str = "Accept-Ranges, Content-Length, Content-Range, Transfer-Encoding";

/// What every answer says: logs are nobody's to keep, any page that knows the URL may read them, and no browser may take what
/// a task has printed for anything but text.
const ALWAYS: [(header::HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

pub(super) fn router(shelf: Shelf<TaskLog>) -> Router {
    Router::new()
        .route("/log/{secret}", get(read).options(preflight))
        .layer(axum::middleware::map_response(async |mut response: Response| {
            response.headers_mut().extend(ALWAYS.map(|(name, value)| (name, HeaderValue::from_static(value))));
            response
        }))
        .with_state(shelf)
}

/// Browsers ask before a page of another origin may send `Range`. They get the same answer whether or not there is such a log.
async fn preflight() -> Response {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Range"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// `GET` and `HEAD`. An unknown secret and that of a run that is over are told apart by nothing.
async fn read(
    State(shelf): State<Shelf<TaskLog>>,
    Path(secret): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(log) = shelf.get(&secret) else { return (StatusCode::NOT_FOUND, "no such log\n").into_response() };
    let (length, closed) = log.extent();
    let extent = Extent { length, closed };
    let (status, part) = match range(&method, &headers).and_then(|range| extent.part(range)) {
        None => (StatusCode::OK, extent.whole()),
        Some(Ok(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Some(Err(Unsatisfiable)) => {
            let headers = [(header::CONTENT_RANGE, extent.unsatisfied())];
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    let body = match log.follow_part(part.from, part.end) {
        Ok(follower) => body(follower),
        Err(error) => {
            tracing::warn!(%error, "cannot read a log");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [(header::CONTENT_TYPE, LOG_CONTENT_TYPE), (header::ACCEPT_RANGES, "bytes")];
    let mut response = (status, headers, body).into_response();
    if let Some(end) = part.end {
        response.headers_mut().insert(header::CONTENT_LENGTH, (end - part.from).into());
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let value = HeaderValue::try_from(extent.content_range(part)).expect("digits are allowed");
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// The range that is asked for. It counts with `GET` only; and the log has no validator that `If-Range` could match.
fn range<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let counts = method == Method::GET && !headers.contains_key(header::IF_RANGE);
    headers.get(header::RANGE).filter(|_| counts)
}

fn body(follower: Follower) -> Body {
    Body::from_stream(stream::try_unfold(follower, |mut follower| async move {
        Ok::<_, io::Error>(follower.next().await?.map(|chunk| (chunk, follower)))
    }))
}
