//! Who is calling? A service does not decide that; it asks an [`Authenticator`].

use std::fmt;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;

mod fixed;
#[cfg(feature = "auth")]
mod remote;

pub use fixed::Fixed;
#[cfg(feature = "auth")]
pub use remote::Remote;

/// What an authenticator gets to see of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthRequest {
    /// The method in lower case.
    pub method: String,
    /// Path and query as they were signed, a bewit included.
    pub resource: String,
    /// The host without the port.
    pub host: String,
    /// The port that the caller signed.
    pub port: u16,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The caller's address, for the log.
    pub source_ip: Option<String>,
    /// What the request is part of, for the log: whoever is asked notes it, too.
    pub trace_id: Option<String>,
}

impl fmt::Debug for AuthRequest {
    /// Without the signature, which may still be valid, and without the query, which may hold a bewit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("method", &self.method)
            .field("path", &self.resource.split('?').next().unwrap_or_default())
            .field("host", &self.host)
            .field("port", &self.port)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .field("source_ip", &self.source_ip)
            .field("trace_id", &self.trace_id)
            .finish()
    }
}

/// What an authenticator found out.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthOutcome {
    /// The credentials are valid.
    Success {
        /// The name to log and to audit; scopes decide, not names.
        client_id: String,
        /// What the caller may do, roles expanded, those of everybody included.
        scopes: Vec<String>,
        /// When the credentials cease to be valid.
        expires: Timestamp,
        /// The payload hash that was signed, if any; the runtime compares it to the body.
        hash: Option<String>,
    },
    /// Credentials were given, but they are not valid.
    Failed {
        /// Why.
        message: String,
    },
    /// No credentials were given.
    None {
        /// What everybody may do, roles expanded.
        scopes: Vec<String>,
        /// For how long that is known to hold.
        expires: Timestamp,
    },
    /// It could not be found out. The caller gets a 500, the log the reason.
    Unavailable {
        /// What went wrong, for the operator.
        reason: String,
    },
}

/// Finds out who sent a request and what they may do.
///
/// Asked at most once per request, and only where an operation needs scopes or the handler asks for the caller.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Judges one request.
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome;
}

impl fmt::Debug for dyn Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}
