use std::fmt;

use super::BoxError;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct TransportError {
    kind: TransportErrorKind,
    #[source]
    source: BoxError,
}

/// What a failed request means for the question of whether it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection came about: the server has not seen the request.
    Connect,
    /// The answer did not come in time: the server may have seen the request.
    Timeout,
    /// The connection broke: the server may have seen the request.
    Interrupted,
    /// The request cannot be sent at all, now or later: a bad URL, no TLS here, a certificate that is not to be
    /// trusted.
    Request,
}

impl TransportError {
    /// A failure of this kind.
    pub fn new(kind: TransportErrorKind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: source.into() }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether another attempt may go better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind != TransportErrorKind::Request
    }

    /// Whether the server certainly has not seen the request.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind == TransportErrorKind::Connect
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "cannot connect",
            Self::Timeout => "no answer in time",
            Self::Interrupted => "the connection broke",
            Self::Request => "the request cannot be sent",
        })
    }
}
