//! Transports for tests: one that answers from a script, one that records what passes.

mod recording;
mod scripted;

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::{Body, TransportError, TransportErrorKind};
use crate::operation::Operation;

pub use recording::{Recorded, RecordingTransport};
pub use scripted::{Answer, ScriptedTransport};

/// The longest body that is kept.
const LONGEST_BODY: usize = 256 << 20;

/// A request that passed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The method that was called; `None` for a raw request.
    pub operation: Option<&'static Operation>,
    /// The HTTP method.
    pub method: http::Method,
    /// Scheme, host and port, such as `https://tc.example.com`.
    pub origin: String,
    /// The path, encoded.
    pub path: String,
    /// The query, encoded; empty if there is none.
    pub query: String,
    /// The headers, with the signature.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    async fn of(request: Request<Body>) -> Result<Self, TransportError> {
        let (parts, body) = request.into_parts();
        let body = body.collect(LONGEST_BODY).await;
        let body = body.map_err(|error| TransportError::new(TransportErrorKind::Request, error))?;
        let origin = match (parts.uri.scheme_str(), parts.uri.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
            _ => String::new(),
        };
        Ok(Self {
            operation: parts.extensions.get::<&'static Operation>().copied(),
            method: parts.method,
            origin,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
        })
    }

    /// The method's name, such as `queue.createTask`; empty for a raw request.
    pub fn name(&self) -> String {
        self.operation.map(ToString::to_string).unwrap_or_default()
    }

    /// The body as JSON; `null` if it is empty.
    ///
    /// # Panics
    /// If it is something else.
    pub fn json(&self) -> serde_json::Value {
        if self.body.is_empty() {
            return serde_json::Value::Null;
        }
        serde_json::from_slice(&self.body).expect("the body of a call is JSON")
    }

    /// The value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}
