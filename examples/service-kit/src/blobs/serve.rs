//! The signed URLs of local blobs over HTTP.

use std::io::SeekFrom;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use futures_util::TryStreamExt as _;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::file::Stored;
use super::sign::{Refused, Upload};
use super::{BlobError, LocalBlobs};

/// A page among the blobs is somebody else's, and comes from the address of the deployment all the same. It may be shown,
/// and its scripts may draw it, but nothing in it acts in the name of that address.
const STRANGER: HeaderValue = HeaderValue::from_static("sandbox allow-scripts");

/// An upload of which nothing arrives for so long is given up.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// Read from the disk in pieces of this size.
const CHUNK: usize = 256 * 1024;

pub(super) fn router(blobs: &LocalBlobs) -> Router {
    Router::new().route(&format!("{}/{{key}}", blobs.base_path()), any(handle)).with_state(blobs.clone())
}

async fn handle(State(blobs): State<LocalBlobs>, request: Request) -> Response {
    let mut response = match answer(&blobs, request).await {
        Ok(response) => response,
        Err((status, text)) => plain(status, text),
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,OPTIONS"));
    headers
        .insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type,Content-Encoding,Range,If-Range"));
    // Somebody else's bytes: a browser must not guess that they are a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Browsers do not show PDF in a sandbox, and it is none of their pages.
    if headers.get(CONTENT_TYPE).is_none_or(|content_type| content_type != "application/pdf") {
        headers.insert(CONTENT_SECURITY_POLICY, STRANGER);
    }
    response
}

type Answer = Result<Response, (StatusCode, &'static str)>;

async fn answer(blobs: &LocalBlobs, request: Request) -> Answer {
    if request.method() == Method::OPTIONS {
        return Ok(plain(StatusCode::OK, ""));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::PUT) {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "blobs are read by GET and written by PUT"));
    }
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let raw_key = path.rsplit('/').next().unwrap_or_default();
    let grant =
        blobs.signer().check(request.method(), raw_key, query, blobs.now()).map_err(|refused| match refused {
            Refused::Signature => (StatusCode::FORBIDDEN, "the signature of the URL does not fit the request"),
            Refused::Expired => (StatusCode::FORBIDDEN, "the URL has expired"),
        })?;
    let (parts, body) = request.into_parts();
    match grant.upload {
        Some(upload) => put(blobs, &grant.key, &upload, &parts.headers, body).await,
        None => get(blobs, &grant.key, &parts.method, &parts.headers).await,
    }
}

async fn put(blobs: &LocalBlobs, key: &str, upload: &Upload, headers: &HeaderMap, mut body: Body) -> Answer {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type != Some(&upload.content_type) {
        return Err((StatusCode::FORBIDDEN, "the content type is not the one that the URL was signed for"));
    }
    let wrong_length = (StatusCode::BAD_REQUEST, "the length is not the one that the URL was signed for");
    let announced = number(headers, &CONTENT_LENGTH);
    if upload.content_length.is_some_and(|wanted| announced.is_some_and(|announced| announced != wanted)) {
        return Err(wrong_length);
    }
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    let mut incoming = blobs.begin(key, &upload.content_type, encoding).await.map_err(failed)?;
    let silent = |_| (StatusCode::BAD_REQUEST, "nothing of the upload arrives any more");
    while let Some(frame) = tokio::time::timeout(SILENCE, body.frame()).await.map_err(silent)? {
        let frame = frame.map_err(|_| (StatusCode::BAD_REQUEST, "the upload was cut off"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        incoming.write(&chunk).await.map_err(|error| failed(error.into()))?;
        if upload.content_length.is_some_and(|wanted| incoming.length() > wanted) {
            return Err(wrong_length);
        }
    }
    if upload.content_length.is_some_and(|wanted| incoming.length() != wanted) {
        return Err(wrong_length);
    }
    blobs.finish(key, incoming).await.map_err(failed)?;
    Ok(plain(StatusCode::OK, ""))
}

async fn get(blobs: &LocalBlobs, key: &str, method: &Method, headers: &HeaderMap) -> Answer {
    let Some(mut stored) = blobs.stored(key).await.map_err(failed)? else {
        return Err((StatusCode::NOT_FOUND, "there is no such blob"));
    };
    let range = wanted_range(headers, &stored);
    if range == Wanted::Nothing {
        let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "");
        set(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{}", stored.length));
        return Ok(response);
    }
    let (start, length) = match range {
        Wanted::Part { start, end } => (start, end - start + 1),
        Wanted::Whole | Wanted::Nothing => (0, stored.length),
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        stored.file.seek(SeekFrom::Start(stored.offset + start)).await.map_err(|error| failed(error.into()))?;
        let pieces = ReaderStream::with_capacity(stored.file.take(length), CHUNK);
        Body::from_stream(pieces.inspect_err(|error| tracing::warn!(error = %error, "a blob cannot be read")))
    };
    let mut response = Response::new(body);
    if let Wanted::Part { start, end } = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(response.headers_mut(), CONTENT_RANGE, &format!("bytes {start}-{end}/{}", stored.length));
    }
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(headers, CONTENT_TYPE, &stored.content_type);
    if let Some(encoding) = &stored.content_encoding {
        set(headers, CONTENT_ENCODING, encoding);
    }
    set(headers, CONTENT_LENGTH, &length.to_string());
    set(headers, ETAG, &stored.tag);
    Ok(response)
}

/// Which part of a blob a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From `start` to `end`, both included.
    Part {
        start: u64,
        end: u64,
    },
    /// A part that lies outside of the blob.
    Nothing,
}

/// Several ranges at once, or a range of an older blob, mean the whole one.
fn wanted_range(headers: &HeaderMap, stored: &Stored) -> Wanted {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(&IF_RANGE).is_some_and(|tag| tag != stored.tag) {
        return Wanted::Whole;
    }
    parse_range(text(&RANGE).unwrap_or_default(), stored.length)
}

fn parse_range(text: &str, length: u64) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    let (start, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(start), Ok(end)) if end < start => return Wanted::Whole,
        (Ok(start), Ok(end)) => (start, end.min(length.saturating_sub(1))),
        (Ok(start), Err(_)) if last.trim().is_empty() => (start, length.saturating_sub(1)),
        (Err(_), Ok(0)) if first.trim().is_empty() => return Wanted::Nothing,
        (Err(_), Ok(count)) if first.trim().is_empty() => (length.saturating_sub(count), length.saturating_sub(1)),
        _ => return Wanted::Whole,
    };
    if start < length { Wanted::Part { start, end } } else { Wanted::Nothing }
}

fn failed(error: BlobError) -> (StatusCode, &'static str) {
    match error {
        BlobError::Full => (StatusCode::INSUFFICIENT_STORAGE, "there is no room for the blob"),
        BlobError::Key(_) => (StatusCode::BAD_REQUEST, "this cannot be the key of a blob"),
        BlobError::Failed(error) => {
            tracing::error!(error = %error, "the blob storage failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the blob storage failed")
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(failed(full.into()).0, StatusCode::INSUFFICIENT_STORAGE);
        let broken = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(failed(broken.into()).0, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn ranges() {
        let part = |start, end| Wanted::Part { start, end };
        for (text, wanted) in [
            ("", Wanted::Whole),
            ("bytes=0-3", part(0, 3)),
            ("bytes=2-", part(2, 9)),
            ("bytes=2-99", part(2, 9)),
            ("bytes=-4", part(6, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=1-2,4-5", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
        ] {
            assert_eq!(parse_range(text, 10), wanted, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Wanted::Nothing);
    }
}
