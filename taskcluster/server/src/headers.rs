//! Headers that every answer of an API carries.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_SECURITY_POLICY, DATE, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use taskcluster_core::time::Timestamp;

use crate::request::Ids;

const FOR_TRACE_ID: HeaderName = HeaderName::from_static("x-for-trace-id");
const FOR_REQUEST_ID: HeaderName = HeaderName::from_static("x-for-request-id");

const EVERYWHERE: [(HeaderName, HeaderValue); 8] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("900")),
    (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,CONNECT")),
    (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("*")),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With,Content-Type,Authorization,Accept,Origin,Cache-Control"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store no-cache must-revalidate")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
];

/// 90 days.
const OVER_TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=7776000");

/// Tells browsers never to come here without TLS, where the root URL says that it is there.
pub(crate) fn over_tls_only(router: Router, root_url: &str) -> Router {
    if !root_url.starts_with("https://") {
        return router;
    }
    router.layer(map_response(|mut response: Response| async {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, OVER_TLS_ONLY);
        response
    }))
}

/// Adds them where the handler did not set its own.
///
/// The date is the service's own: callers whose clock is wrong sign by it.
pub(crate) fn add(headers: &mut HeaderMap, ids: &Ids, now: Timestamp) {
    headers.reserve(EVERYWHERE.len() + 4);
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(value);
    }
    let date = jiff::Timestamp::from(now).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.insert(DATE, date);
    }
    for (name, id) in [(FOR_TRACE_ID, &ids.trace), (FOR_REQUEST_ID, &ids.request)] {
        if let Ok(value) = HeaderValue::from_str(id) {
            headers.insert(name, value);
        }
    }
}
