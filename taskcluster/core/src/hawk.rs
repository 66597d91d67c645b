//! Hawk: the signatures on requests, bewits on URLs, and their verification for services.
//!
//! The scheme is Mozilla's Hawk 1 with SHA-256, as TaskCluster's auth service checks it: the MAC covers method, path
//! **and query**, host, port and, where there is a body, its hash. `ext` is base64 of a JSON object with the
//! certificate of temporary credentials and the authorised scopes.

mod presented;
mod signer;
mod verify;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::digest;

use crate::credentials::Credentials;
use crate::time::Timestamp;

pub use presented::{Presented, PresentedKind, split_bewit};
pub use signer::Signer;
pub use verify::verify;

/// What a signature covers of a request, apart from its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFacts<'a> {
    /// The HTTP method; any case.
    pub method: &'a str,
    /// Path and query as they stand in the request line.
    pub resource: &'a str,
    /// The host without its port; any case. An IPv6 address has its brackets.
    pub host: &'a str,
    /// The port, also where it is the scheme's own.
    pub port: u16,
}

/// Why a signature cannot be made, read or accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HawkError {
    /// The header is of another scheme.
    #[error("not a Hawk authorization")]
    Scheme,
    /// The header or the bewit is not in its form; the text says where.
    #[error("bad {0}")]
    Syntax(&'static str),
    /// An attribute that must be there is not.
    #[error("missing attribute {0}")]
    Missing(&'static str),
    /// A header and a bewit at once.
    #[error("both an authorization header and a bewit")]
    Both,
    /// `ext` is not base64 of JSON of the expected shape.
    #[error("bad ext: {0}")]
    Ext(String),
    /// Another key, another request, or no good intentions.
    #[error("bad mac")]
    BadMac,
    /// The signature's time is too far from ours.
    #[error("stale timestamp")]
    StaleTimestamp,
    /// The bewit's time is over.
    #[error("access expired")]
    Expired,
    /// A bewit on something other than GET and HEAD.
    #[error("invalid method for a bewit")]
    Method,
    /// The cryptography failed.
    #[error("cannot sign")]
    Crypto(#[source] hawk::Error),
}

/// The `Authorization` header of a request, with a fresh nonce.
///
/// `payload` is the body with its content type; without it the body is not protected. To sign often, keep a [`Signer`].
///
/// # Errors
/// If the client id cannot stand in a header.
pub fn sign(
    credentials: &Credentials,
    facts: RequestFacts<'_>,
    payload: Option<(&str, &[u8])>,
    now: Timestamp,
) -> Result<HeaderValue, HawkError> {
    let hash = payload.map(|(content_type, body)| digest_payload(content_type, body));
    Signer::new(credentials)?.header(facts, hash.as_ref().map(digest::Digest::as_ref), now)
}

/// The value for the query parameter `bewit`, which lets whoever has the URL GET it until `expires`. The resource is
/// without the bewit.
///
/// # Errors
/// If the client id cannot stand in a bewit.
pub fn bewit(credentials: &Credentials, facts: RequestFacts<'_>, expires: Timestamp) -> Result<String, HawkError> {
    Signer::new(credentials)?.bewit(facts, expires)
}

/// The base64 of the hash of a body, as it stands in the attribute `hash`. Parameters of the content type do not count.
#[must_use]
pub fn payload_hash(content_type: &str, body: &[u8]) -> String {
    STANDARD.encode(digest_payload(content_type, body))
}

pub(crate) fn digest_payload(content_type: &str, body: &[u8]) -> digest::Digest {
    let plain = content_type.split(';').next().unwrap_or_default().trim();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"hawk.1.payload\n");
    if plain.bytes().any(|b| b.is_ascii_uppercase()) {
        context.update(plain.to_ascii_lowercase().as_bytes());
    } else {
        context.update(plain.as_bytes());
    }
    context.update(b"\n");
    context.update(body);
    context.update(b"\n");
    context.finish()
}

/// Seconds since 1970 as the `hawk` crate takes them.
fn system_time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
