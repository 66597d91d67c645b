use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What makes temporary credentials valid: who issued them, for what and for how long, signed with the issuer's access
/// token.
///
/// On the wire it is a JSON object, which most places carry as a string. This is version 1 of the format, the only one
/// there is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The version of the format: 1.
    pub version: u32,
    /// The scopes of the temporary credentials, before expansion.
    pub scopes: Vec<String>,
    /// When they begin to be valid, in milliseconds since 1970.
    pub start: i64,
    /// When they end to be valid, in milliseconds since 1970.
    pub expiry: i64,
    /// A random text of 44 characters, from which the access token is made.
    pub seed: String,
    /// Base64 of the HMAC over all the rest.
    pub signature: String,
    /// Who issued them, if they have a name of their own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<String>,
}

impl Certificate {
    /// The version of the format that is written here.
    pub const VERSION: u32 = 1;

    /// A certificate that is not signed yet.
    #[must_use]
    pub fn unsigned(
        scopes: Vec<String>,
        start: Timestamp,
        expiry: Timestamp,
        seed: String,
        issuer: Option<String>,
    ) -> Self {
        let (start, expiry) = (start.as_millis(), expiry.as_millis());
        Self { version: Self::VERSION, scopes, start, expiry, seed, signature: String::new(), issuer }
    }

    /// Reads the text that stands in `TASKCLUSTER_CERTIFICATE` and in the answers of the queue.
    ///
    /// # Errors
    /// If it is not the JSON of a certificate.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text that `from_json` reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a certificate holds texts and numbers only")
    }

    /// When the credentials begin to be valid.
    #[must_use]
    pub fn starts(&self) -> Timestamp {
        Timestamp::from_millis(self.start)
    }

    /// When they end to be valid.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expiry)
    }
}

/// Without seed and signature.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("version", &self.version)
            .field("scopes", &self.scopes)
            .field("start", &self.starts())
            .field("expiry", &self.expires())
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// The certificate as a string that holds JSON.
pub(super) mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::Certificate;

    pub(crate) fn serialize<S: Serializer>(
        certificate: &Option<Certificate>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        certificate.as_ref().map(Certificate::to_json).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Certificate>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a certificate, or a string that holds one")]
        enum Wire {
            Text(String),
            Object(Certificate),
        }

        match Option::<Wire>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Wire::Object(certificate)) => Ok(Some(certificate)),
            Some(Wire::Text(text)) if text.is_empty() => Ok(None),
            Some(Wire::Text(text)) => Certificate::from_json(&text).map(Some).map_err(D::Error::custom),
        }
    }
}
