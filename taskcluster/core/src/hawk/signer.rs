use std::fmt;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hawk::Key;
use hawk::mac::{Mac, MacType};
use http::HeaderValue;
use serde::Serialize;

use super::{HawkError, RequestFacts, system_time};
use crate::credentials::{Certificate, Credentials};
use crate::time::Timestamp;

/// Credentials made ready to sign many requests.
pub struct Signer {
    id: String,
    key: Key,
    ext: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ext<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_scopes: Option<&'a [String]>,
}

impl Signer {
    /// Makes credentials ready.
    ///
    /// # Errors
    /// If the client id has a character that cannot stand in a header: a quote, a backslash, or one that is not
    /// printable ASCII.
    pub fn new(credentials: &Credentials) -> Result<Self, HawkError> {
        let certificate = credentials.certificate.as_ref();
        let authorized_scopes = credentials.authorized_scopes.as_deref();
        let ext = (certificate.is_some() || authorized_scopes.is_some()).then(|| {
            let json = serde_json::to_vec(&Ext { certificate, authorized_scopes });
            STANDARD.encode(json.expect("the ext holds texts and numbers only"))
        });
        Self::with_ext(&credentials.client_id, credentials.access_token.expose(), ext)
    }

    /// A signer with an `ext` that is encoded already.
    ///
    /// # Errors
    /// If the id has a character that cannot stand in a header.
    pub fn with_ext(id: &str, token: &str, ext: Option<String>) -> Result<Self, HawkError> {
        if id.is_empty() || !id.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            return Err(HawkError::Syntax("client id"));
        }
        let key = Key::new(token, hawk::SHA256).map_err(HawkError::Crypto)?;
        Ok(Self { id: id.to_owned(), key, ext })
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.id
    }

    /// The `Authorization` header of a request, with a fresh nonce. `hash` is the digest of the payload, if there is
    /// one.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn header(
        &self,
        facts: RequestFacts<'_>,
        hash: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<HeaderValue, HawkError> {
        // 72 random bits; the services only ask that it differs.
        let mut nonce = [0; 12];
        let random = uuid::Uuid::new_v4().into_bytes();
        URL_SAFE_NO_PAD.encode_slice(&random[..9], &mut nonce).expect("9 bytes are 12 characters of base64");
        let nonce = std::str::from_utf8(&nonce).expect("base64 is ASCII");
        let text = self.header_with(facts, hash, seconds(now), nonce)?;
        let mut value = HeaderValue::try_from(text).map_err(|_| HawkError::Syntax("client id"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The header with this very nonce.
    pub(super) fn header_with(
        &self,
        facts: RequestFacts<'_>,
        hash: Option<&[u8]>,
        ts: u64,
        nonce: &str,
    ) -> Result<String, HawkError> {
        let mac = mac(MacType::Header, &self.key, facts, ts, nonce, hash, self.ext.as_deref())?;
        let length = 160 + self.id.len() + nonce.len() + self.ext.as_ref().map_or(0, String::len);
        let mut text = String::with_capacity(length);
        // Writing into a String cannot fail.
        let _ = write!(text, "Hawk id=\"{}\", ts=\"{ts}\", nonce=\"{nonce}\", mac=\"", self.id);
        STANDARD.encode_string(&mac[..], &mut text);
        if let Some(hash) = hash {
            text.push_str("\", hash=\"");
            STANDARD.encode_string(hash, &mut text);
        }
        if let Some(ext) = &self.ext {
            text.push_str("\", ext=\"");
            text.push_str(ext);
        }
        text.push('"');
        Ok(text)
    }

    /// The value for the query parameter `bewit`; the resource is without it, the method does not count.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn bewit(&self, facts: RequestFacts<'_>, expires: Timestamp) -> Result<String, HawkError> {
        let facts = RequestFacts { method: "GET", ..facts };
        let expires = seconds(expires);
        let mac = mac(MacType::Bewit, &self.key, facts, expires, "", None, self.ext.as_deref())?;
        let mut text = format!("{}\\{expires}\\", self.id);
        STANDARD.encode_string(&mac[..], &mut text);
        text.push('\\');
        text.push_str(self.ext.as_deref().unwrap_or_default());
        Ok(URL_SAFE_NO_PAD.encode(text))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
    }
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_seconds()).unwrap_or(0)
}

/// The MAC over a request; method and host in the case that Hawk wants.
pub(super) fn mac(
    kind: MacType,
    key: &Key,
    facts: RequestFacts<'_>,
    ts: u64,
    nonce: &str,
    hash: Option<&[u8]>,
    ext: Option<&str>,
) -> Result<Mac, HawkError> {
    let (mut method, mut host) = (String::new(), String::new());
    let method = in_case(facts.method, &mut method, |b| b.is_ascii_lowercase(), str::make_ascii_uppercase);
    let host = in_case(facts.host, &mut host, |b| b.is_ascii_uppercase(), str::make_ascii_lowercase);
    Mac::new(kind, key, system_time(ts), nonce, method, host, facts.port, facts.resource, hash, ext)
        .map_err(HawkError::Crypto)
}

/// The text changed by `fix`, if a byte of it is `wrong`.
fn in_case<'a>(text: &'a str, copy: &'a mut String, wrong: fn(&u8) -> bool, fix: fn(&mut str)) -> &'a str {
    if !text.as_bytes().iter().any(wrong) {
        return text;
    }
    copy.push_str(text);
    fix(copy);
    copy
}
