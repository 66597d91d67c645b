use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use crate::error::ApiError;
use crate::operation::Operation;
use crate::time::{Timestamp, parse_http_date};
use crate::transport::Body;

/// An answer. Its body has been read, unless it is a result that was asked for as a stream.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Success, and the redirects with which the queue answers for artifacts.
pub(super) fn is_result(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// When the server says that it is.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    parse_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// How long the server asks to wait: a number of seconds, or a date of its own clock (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(parse_http_date(value)?.since(date(headers).unwrap_or(now))),
    }
}

impl Answer {
    /// The body of an answer that was read whole.
    pub(super) fn into_bytes(self) -> Bytes {
        self.body.into_bytes().unwrap_or_default()
    }

    pub(super) fn into_error(self, operation: &'static Operation, attempts: u32, now: Timestamp) -> ApiError {
        const REQUEST_ID: HeaderName = HeaderName::from_static("x-for-request-id");
        let retry_after = retry_after(&self.headers, now);
        let request_id = self.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut error = ApiError::parse(operation, self.status, attempts, self.into_bytes());
        error.retry_after = retry_after;
        error.request_id = request_id;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let ask = |value: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers, now)
        };
        assert_eq!(ask("7", None), Some(Duration::from_secs(7)));
        assert_eq!(ask("Fri, 02 Jan 2026 03:04:15 GMT", None), Some(Duration::from_secs(10)));
        assert_eq!(
            ask("Fri, 02 Jan 2026 03:04:15 GMT", Some("Fri, 02 Jan 2026 03:04:12 GMT")),
            Some(Duration::from_secs(3))
        );
        assert_eq!(ask("Fri, 02 Jan 2026 03:00:00 GMT", None), Some(Duration::ZERO));
        assert_eq!(ask("soon", None), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
