//! What a handler answers.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use taskcluster_core::transport::Body;

use crate::Failure;

/// A typed answer, by itself a plain 200; `Reply<()>` is a 204 without a body.
///
/// Any value becomes a reply by `.into()`. Where no schema describes the answer it is a [`Body`], which may be a stream
/// that goes on for as long as the caller listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply<T> {
    value: T,
    status: StatusCode,
    headers: HeaderMap,
}

impl<T> Reply<T> {
    /// An answer of status 200.
    pub fn new(value: T) -> Self {
        Self { value, status: StatusCode::OK, headers: HeaderMap::new() }
    }

    /// The same with another status, such as 303.
    ///
    /// # Panics
    /// When `status` is none that HTTP knows (100 to 999).
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        self
    }

    /// The same with a header more. A value that may not stand in a header is dropped with a warning.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        match HeaderValue::from_str(value.as_ref()) {
            Ok(value) => {
                self.headers.append(HeaderName::from_static(name), value);
            }
            Err(_) => tracing::warn!(header = name, "the value of a response header was not valid and is left out"),
        }
        self
    }

    /// What is answered.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers that were added.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What is answered, by value.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T: Serialize> Reply<T> {
    /// Writes the value as JSON; what generated handlers end with.
    ///
    /// # Errors
    /// An internal failure when the value cannot be written as JSON.
    pub fn into_raw(self) -> Result<RawReply, Failure> {
        let body = serde_json::to_vec(&self.value).map_err(Failure::internal)?;
        Ok(RawReply { status: self.status, headers: self.headers, body: body.into() })
    }
}

impl Reply<Body> {
    /// Answers with the body as it is, bytes or a [stream](Body::from_stream); what generated handlers of methods without JSON end with. Their type is what the
    /// header `content-type` says, otherwise `application/octet-stream`.
    ///
    /// # Errors
    /// None; the same form as [`into_raw`](Reply::into_raw) has.
    pub fn into_blob(mut self) -> Result<RawReply, Failure> {
        let unnamed = HeaderValue::from_static("application/octet-stream");
        self.headers.entry(http::header::CONTENT_TYPE).or_insert(unnamed);
        Ok(RawReply { status: self.status, headers: self.headers, body: self.value })
    }
}

impl<T> From<T> for Reply<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// An answer as it goes out: status, headers, body.
#[derive(Debug)]
pub struct RawReply {
    /// The status; 200 together with an empty body goes out as 204.
    pub status: StatusCode,
    /// Headers beyond those that every answer has.
    pub headers: HeaderMap,
    /// The body, JSON unless the headers say otherwise; `null` and nothing at all both mean that there is none.
    pub body: Body,
}
