//! What can go wrong with a call.

mod api;
mod code;
mod report;

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;

use crate::operation::Operation;
use crate::scopes::ScopeExpression;
use crate::transport::{BoxError, TransportError};

pub use api::ApiError;
pub use code::ErrorCode;
pub use report::{Chain, Report, chain};

/// Why a call failed.
///
/// `Display` says what happened to the call; what is behind it, such as a refused connection, is its
/// [`source`](std::error::Error::source), and [`chain`] says both. `Debug` shows neither bodies nor credentials.
///
/// ```
/// # fn show(result: Result<(), taskcluster_core::Error>) {
/// match result {
///     Err(error) if error.is_not_found() => println!("there is no such task"),
///     Err(error) => println!("{}", taskcluster_core::chain(&error)),
///     Ok(()) => {}
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service refused, or failed, and said so.
    #[error(transparent)]
    Api(Box<ApiError>),

    /// No answer came.
    #[error("{operation}: no answer from {target}{}", times(*attempts))]
    Transport {
        /// `service.method`.
        operation: String,
        /// Who was called: the root URL, or the proxy's, without path.
        target: String,
        /// How often it was tried.
        attempts: u32,
        /// What happened the last time.
        #[source]
        source: TransportError,
    },

    /// An answer came whose body is not what the method promises, or broke off.
    #[error("{operation}: unexpected body")]
    Body {
        /// `service.method`.
        operation: String,
        /// What was read of it. `Debug` shows only its length: it may hold a token.
        body: RawBody,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },

    /// The call cannot even be made: a bad URL, variable, argument or credential. The message says which.
    #[error("{message}")]
    Config {
        /// What is wrong.
        message: String,
        /// The reason, where there is one.
        #[source]
        source: Option<BoxError>,
    },

    /// The time of [`RetryPolicy::deadline`](crate::RetryPolicy::deadline) ran out during an attempt.
    #[error("{operation}: no answer from {target} within {} s{}", after.as_secs_f64(), times(*attempts))]
    Deadline {
        /// `service.method`.
        operation: String,
        /// Who was called: the root URL, or the proxy's, without path.
        target: String,
        /// How often it was tried.
        attempts: u32,
        /// The time that was given.
        after: Duration,
        /// How the attempt before ended, if there was one.
        #[source]
        last: Option<Box<Error>>,
    },

    /// An [interceptor](crate::intercept) of this program refused the call, and nothing was sent.
    #[error("{operation}: refused before it was sent")]
    Refused {
        /// `service.method`.
        operation: String,
        /// What it said.
        #[source]
        source: BoxError,
    },

    /// A list's page named a page that has been there already; going on would never end.
    #[error("{operation}: the continuation token '{token}' came twice")]
    DuplicateToken {
        /// `service.method`.
        operation: String,
        /// The token.
        token: String,
    },
}

impl Error {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), source: None }
    }

    pub(crate) fn config_from(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Config { message: message.into(), source: Some(source.into()) }
    }

    pub(crate) fn body(operation: &Operation, body: Bytes, source: impl Into<BoxError>) -> Self {
        Self::Body { operation: operation.to_string(), body: RawBody(body), source: source.into() }
    }

    /// What the service said, if it did.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Transport { .. }
            | Self::Body { .. }
            | Self::Config { .. }
            | Self::Deadline { .. }
            | Self::Refused { .. }
            | Self::DuplicateToken { .. } => None,
        }
    }

    /// The status of the service's refusal.
    pub fn status(&self) -> Option<http::StatusCode> {
        self.api().map(|error| error.status)
    }

    /// The code of the service's refusal.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.api().map(|error| &error.code)
    }

    /// What the service found missing, if it refused for want of scopes.
    pub fn missing_scopes(&self) -> Option<&ScopeExpression> {
        self.api()?.missing_scopes.as_ref()
    }

    /// Whether the thing that was asked for does not exist (404).
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(http::StatusCode::NOT_FOUND)
    }

    /// Whether the call contradicts the state of things (409), as a second creation with other properties does.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(http::StatusCode::CONFLICT)
    }

    /// Whether the credentials are none or have expired (401), or there were none where some are needed.
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(http::StatusCode::UNAUTHORIZED)
    }

    /// Whether the credentials lack scopes (403). [`ApiError::missing_scopes`] says which.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(http::StatusCode::FORBIDDEN)
    }

    /// Whether the same call may well work later: the service failed (5xx), was busy (429) or could not be reached.
    ///
    /// It says nothing on whether a repetition is safe; the caller has done those that are.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            Self::Transport { source, .. } => source.is_retryable(),
            Self::Body { source, .. } => {
                !source.is::<serde_json::Error>() && !source.is::<crate::transport::BodyTooLarge>()
            }
            Self::Deadline { .. } => true,
            Self::Config { .. } | Self::Refused { .. } | Self::DuplicateToken { .. } => false,
        }
    }
}

/// A body as it came; `Debug` shows only its length, since it may hold a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawBody(pub Bytes);

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawBody({} bytes)", self.0.len())
    }
}

impl Deref for RawBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

fn times(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportErrorKind;

    #[test]
    fn errors_answer_the_usual_questions() {
        let error = Error::from(ApiError::new(404, "ResourceNotFound", "no such task"));
        assert!(error.is_not_found() && !error.is_conflict() && !error.is_retryable());
        assert_eq!(error.code(), Some(&ErrorCode::ResourceNotFound));
        assert!(Error::from(ApiError::new(409, "RequestConflict", "")).is_conflict());
        assert!(Error::from(ApiError::new(401, "AuthenticationFailed", "")).is_unauthorized());
        assert!(Error::from(ApiError::new(503, "", "")).is_retryable());
        assert!(Error::from(ApiError::new(429, "TooManyRequests", "")).is_retryable());
        assert!(!Error::config("bad").is_retryable());
    }

    #[test]
    fn a_lost_connection_says_how_often_it_was_tried() {
        let source = TransportError::new(TransportErrorKind::Connect, "refused");
        let target = "https://tc.example.com".into();
        let error = Error::Transport { operation: "queue.ping".into(), target, attempts: 6, source };
        assert_eq!(
            chain(&error).to_string(),
            "queue.ping: no answer from https://tc.example.com (tried 6 times): cannot connect: refused"
        );
        assert!(error.is_retryable() && error.status().is_none());
    }

    #[test]
    fn debug_shows_no_body() {
        let operation = &crate::error::api::tests::STATUS;
        let body = Bytes::from_static(br#"{"accessToken":"hunter2","requestInfo":{"payload":{"secret":"hunter2"}}}"#);
        let refusal = Error::from(ApiError::parse(operation, http::StatusCode::BAD_REQUEST, 1, body.clone()));
        let odd = Error::body(operation, body, "odd");
        assert!(!format!("{refusal:?} {odd:?}").contains("hunter2"), "{refusal:?} {odd:?}");
    }

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<Error>() <= 96, "{}", size_of::<Error>());
    }
}
