//! Who is calling: credentials, temporary credentials, and where they come from.

mod certificate;
mod for_calls;
mod provider;
mod renewing;
mod temporary;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::environment;
use crate::error::Error;
use crate::secret::Secret;

pub use certificate::Certificate;
pub use provider::{CredentialsProvider, SharedCredentials};
pub use renewing::RenewingCredentials;

/// A client id with its access token; a certificate as well if the credentials are temporary.
///
/// Serde has the form in which the queue gives them with a claim: `clientId`, `accessToken`, `certificate`.
///
/// ```
/// use taskcluster_core::Credentials;
/// let credentials = Credentials::new("project/me", "hunter2");
/// assert!(!format!("{credentials:?}").contains("hunter2"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Credentials {
    /// The client's id.
    pub client_id: String,
    /// The token that signs requests.
    pub access_token: Secret,
    /// What makes temporary credentials valid. On the wire it is a string that holds JSON; an object is read as well.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "certificate::text")]
    pub certificate: Option<Certificate>,
    /// If given, requests have these scopes instead of all that the credentials have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_scopes: Option<Vec<String>>,
}

impl Credentials {
    /// Permanent credentials.
    pub fn new(client_id: impl Into<String>, access_token: impl Into<Secret>) -> Self {
        Self {
            client_id: client_id.into(),
            access_token: access_token.into(),
            certificate: None,
            authorized_scopes: None,
        }
    }

    /// With the certificate of temporary credentials.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// With no more than these scopes. The service checks that the credentials have them.
    #[must_use]
    pub fn with_authorized_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.authorized_scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The credentials in `TASKCLUSTER_CLIENT_ID`, `TASKCLUSTER_ACCESS_TOKEN` and `TASKCLUSTER_CERTIFICATE`; `None` if
    /// none of them is set.
    ///
    /// A variable with an empty value counts as not set.
    ///
    /// # Errors
    /// [`Error::Config`] if one of them is missing or cannot be read; the message names it.
    pub fn from_env() -> Result<Option<Self>, Error> {
        environment::credentials(&environment::process)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("access_token", &self.access_token)
            .field("certificate", &self.certificate)
            .field("authorized_scopes", &self.authorized_scopes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_claim_are_read_and_written() {
        let certificate = r#"{"version":1,"scopes":["a"],"start":1,"expiry":2,"seed":"s","signature":"x"}"#;
        let claim = serde_json::json!({ "clientId": "task/0", "accessToken": "t", "certificate": certificate });
        let credentials: Credentials = serde_json::from_value(claim.clone()).unwrap();
        assert_eq!(credentials.certificate, Some(Certificate::from_json(certificate).unwrap()));
        assert_eq!(serde_json::to_value(&credentials).unwrap(), claim);

        let object: serde_json::Value = serde_json::from_str(certificate).unwrap();
        let other = serde_json::json!({ "clientId": "task/0", "accessToken": "t", "certificate": object });
        assert_eq!(serde_json::from_value::<Credentials>(other).unwrap(), credentials);

        let plain: Credentials = serde_json::from_str(r#"{"clientId":"me","accessToken":"t"}"#).unwrap();
        assert_eq!(plain, Credentials::new("me", "t"));
        let empty: Credentials =
            serde_json::from_str(r#"{"clientId":"me","accessToken":"t","certificate":""}"#).unwrap();
        assert_eq!(empty, plain);
    }
}
