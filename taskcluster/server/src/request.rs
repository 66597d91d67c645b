//! What the runtime notes of a request before anything else happens.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, Method, request};
use uuid::Uuid;

const TRACE_ID: HeaderName = HeaderName::from_static("x-taskcluster-trace-id");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What names a request in the logs of the deployment.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    /// Shared by everything that happens for the sake of one request from outside.
    pub(crate) trace: Arc<str>,
    /// This request's own.
    pub(crate) request: Arc<str>,
}

/// A request without what its route makes of it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    /// Path and query, exactly as they were signed.
    pub(crate) resource: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) source_ip: Option<String>,
    pub(crate) ids: Ids,
    /// All headers, for the few methods that look at one of them.
    pub(crate) headers: HeaderMap,
    /// The body as it came; the payload hash of a signature is taken over it.
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn new(parts: &request::Parts) -> Self {
        let header = |name| text(&parts.headers, &name);
        let (host, port) = host_and_port(parts);
        let resource = parts.uri.path_and_query().map_or("/", |resource| resource.as_str());
        Self {
            method: parts.method.clone(),
            resource: resource.to_owned(),
            host,
            port,
            // Lossy: a header that cannot be text is a bad signature, not an absent one.
            authorization: parts
                .headers
                .get(AUTHORIZATION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            content_type: header(CONTENT_TYPE).map(str::to_owned),
            source_ip: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string()),
            ids: Ids {
                trace: header(TRACE_ID).map_or_else(|| Uuid::new_v4().to_string().into(), Arc::from),
                request: Uuid::new_v4().to_string().into(),
            },
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The raw query, empty if there is none.
    pub(crate) fn query(&self) -> &str {
        self.resource.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether the body says that it is JSON.
    pub(crate) fn is_json(&self) -> bool {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    }
}

/// Where the caller believes to have sent the request: a proxy in front of us keeps `Host` and tells the port.
fn host_and_port(parts: &request::Parts) -> (String, u16) {
    let header = |name| text(&parts.headers, &name);
    let authority = match header(HOST) {
        Some(host) => host.parse().ok(),
        None => parts.uri.authority().cloned(),
    };
    let host = authority.as_ref().map_or("", |authority: &http::uri::Authority| authority.host()).to_owned();
    let secure = match header(FORWARDED_PROTO) {
        Some(scheme) => scheme.eq_ignore_ascii_case("https"),
        None => parts.uri.scheme_str() == Some("https"),
    };
    let forwarded = header(FORWARDED_PORT).and_then(|port| port.parse().ok());
    let by_scheme = header(FORWARDED_PROTO).is_some_and(|_| secure).then_some(443);
    let named = authority.as_ref().and_then(http::uri::Authority::port_u16);
    (host, forwarded.or(by_scheme).or(named).unwrap_or(if secure { 443 } else { 80 }))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(headers: &[(&str, &str)], uri: &str) -> Received {
        let request =
            headers.iter().fold(http::Request::get(uri), |request, (name, value)| request.header(*name, *value));
        Received::new(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_port_is_the_one_that_the_caller_signed() {
        let port = |headers: &[(&str, &str)]| received(headers, "/x").port;
        assert_eq!(port(&[("host", "tc.example")]), 80);
        assert_eq!(port(&[("host", "tc.example:8080")]), 8080);
        assert_eq!(port(&[("host", "tc.example:8080"), ("x-forwarded-proto", "https")]), 443);
        assert_eq!(port(&[("host", "tc.example"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")]), 8443);
        assert_eq!(received(&[], "https://tc.example/x").port, 443);
        assert_eq!(received(&[], "http://tc.example:90/x?y=1").resource, "/x?y=1");
    }

    #[test]
    fn the_trace_id_is_kept() {
        assert_eq!(received(&[("x-taskcluster-trace-id", "t-1")], "/").ids.trace.as_ref(), "t-1");
        assert_eq!(received(&[], "/").ids.trace.len(), 36);
    }

    #[test]
    fn only_json_is_json() {
        assert!(received(&[("content-type", "application/JSON; charset=utf-8")], "/").is_json());
        assert!(!received(&[("content-type", "text/plain")], "/").is_json());
        assert!(!received(&[], "/").is_json());
    }
}
