//! Who sent a request, and what may they do? The one place where that is decided.
//!
//! `authenticateHawk` asks it for other services, [`Backend::local`](crate::Backend::local) for services in this
//! process, and the test methods for a client that exists only there. It reads nothing but a [`Directory`] in memory
//! and does no I/O.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use taskcluster_core::hawk::{self, Presented, RequestFacts};
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, minutes};
use taskcluster_server::{AuthOutcome, AuthRequest};

use crate::certificates::{Certificate, CertificateError, Issuer, scope_list};
use crate::client::{Client, Unusable};

/// What everybody has, with and without credentials.
pub const ANONYMOUS: &str = "assume:anonymous";

/// How far a caller's clock may be off.
const SKEW: Duration = minutes(15);

/// How long it holds that a caller without credentials has what everybody has.
const ANONYMOUS_FOR: Duration = minutes(15);

/// The clients and roles that there are.
pub trait Directory: Send + Sync {
    /// The client of this id.
    fn client(&self, client_id: &str) -> Option<Arc<Client>>;

    /// What scopes are worth.
    fn expand(&self, scopes: &[String]) -> Arc<ScopeSet>;

    /// Takes note that a client was used.
    fn used(&self, client_id: &str, now: Timestamp);
}

/// Why credentials are not accepted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("Unauthorized: {0}")]
    Hawk(#[from] hawk::HawkError),
    #[error("client '{0}' does not exist")]
    NoSuchClient(String),
    #[error("client '{client_id}' {reason}")]
    Unusable { client_id: String, reason: Unusable },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("ext must be the base64 of a JSON object")]
    Ext,
    #[error("ext.authorizedScopes must be a list of valid scopes")]
    AuthorizedScopes,
    #[error("ext.authorizedScopes holds scopes that the credentials do not have: {0}")]
    TooManyAuthorizedScopes(String),
}

/// Judges a request.
pub fn verify(directory: &dyn Directory, request: &AuthRequest, now: Timestamp) -> AuthOutcome {
    let presented = match Presented::find(request.authorization.as_deref(), &request.resource) {
        Ok(Some(presented)) => presented,
        Ok(None) => {
            let scopes = directory.expand(&[ANONYMOUS.to_owned()]).as_slice().to_vec();
            return AuthOutcome::None { scopes, expires: now + ANONYMOUS_FOR };
        }
        Err(error) => return AuthOutcome::Failed { message: Refusal::from(error).to_string() },
    };
    match accept(directory, request, &presented, now) {
        Ok((scopes, expires)) => AuthOutcome::Success {
            client_id: presented.id.clone(),
            scopes: scopes.as_slice().to_vec(),
            expires,
            hash: presented.hash.clone(),
        },
        Err(refusal) => AuthOutcome::Failed { message: refusal.to_string() },
    }
}

/// What the credentials are worth, and until when.
fn accept(
    directory: &dyn Directory,
    request: &AuthRequest,
    presented: &Presented,
    now: Timestamp,
) -> Result<(Arc<ScopeSet>, Timestamp), Refusal> {
    let ext = ext(presented)?;
    let certificate = ext.get("certificate").filter(|certificate| !certificate.is_null());
    let certificate = certificate.map(Certificate::read).transpose()?;
    let issuer_id = certificate.as_ref().map_or(presented.id.as_str(), |certificate| certificate.issuer(&presented.id));
    let client = usable(directory, issuer_id, now)?;
    let held = match &certificate {
        None => {
            Held { access_token: client.access_token.clone(), scopes: client.scopes.clone(), expires: client.expires }
        }
        Some(certificate) => by_certificate(directory, certificate, &client, presented, now)?,
    };
    let facts =
        RequestFacts { method: &request.method, resource: &request.resource, host: &request.host, port: request.port };
    hawk::verify(presented, &held.access_token, facts, now, SKEW)?;
    directory.used(&client.client_id, now);
    let scopes = match ext.get("authorizedScopes") {
        None => held.scopes,
        Some(wanted) => authorized(directory, held.scopes, wanted)?,
    };
    Ok((directory.expand(&with_anonymous(scopes)), held.expires))
}

/// What a caller adds to its signature: a certificate, scopes to limit itself to, or nothing. As it came, since a
/// certificate's faults are told apart by what is in there and what is not.
fn ext(presented: &Presented) -> Result<Map<String, Value>, Refusal> {
    /// Clients differ in whether they pad.
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    match presented.ext.as_deref() {
        None | Some("") => Ok(Map::new()),
        Some(ext) => {
            let json = BASE64.decode(ext).map_err(|_| Refusal::Ext)?;
            serde_json::from_slice(&json).map_err(|_| Refusal::Ext)
        }
    }
}

/// What credentials are worth before anything limits them further.
struct Held {
    access_token: Secret,
    scopes: Vec<String>,
    expires: Timestamp,
}

fn usable(directory: &dyn Directory, client_id: &str, now: Timestamp) -> Result<Arc<Client>, Refusal> {
    let client = directory.client(client_id).ok_or_else(|| Refusal::NoSuchClient(client_id.to_owned()))?;
    match client.usable(now) {
        Ok(()) => Ok(client),
        Err(reason) => Err(Refusal::Unusable { client_id: client_id.to_owned(), reason }),
    }
}

fn by_certificate(
    directory: &dyn Directory,
    certificate: &Certificate,
    client: &Client,
    presented: &Presented,
    now: Timestamp,
) -> Result<Held, Refusal> {
    let scopes = directory.expand(&client.scopes);
    let issuer = Issuer { client_id: &client.client_id, access_token: &client.access_token, scopes: &scopes };
    let temporary = certificate.check(&presented.id, issuer, now)?;
    Ok(Held {
        access_token: temporary.access_token,
        scopes: temporary.scopes,
        expires: temporary.expires.min(client.expires),
    })
}

/// The scopes that a caller limits itself to, if it has them. What everybody has counts.
fn authorized(directory: &dyn Directory, held: Vec<String>, wanted: &Value) -> Result<Vec<String>, Refusal> {
    let wanted = scope_list(wanted).ok_or(Refusal::AuthorizedScopes)?;
    let held = directory.expand(&with_anonymous(held));
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|scope| !held.satisfies(scope)).collect();
    if missing.is_empty() { Ok(wanted) } else { Err(Refusal::TooManyAuthorizedScopes(missing.join(", "))) }
}

fn with_anonymous(mut scopes: Vec<String>) -> Vec<String> {
    scopes.push(ANONYMOUS.to_owned());
    scopes
}
