use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose};
use serde::Deserialize;

use super::HawkError;
use crate::credentials::Certificate;

/// The last second that a signature may name: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Clients differ in whether they pad.
const LENIENT: GeneralPurposeConfig = general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BEWIT: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// What a caller presents to prove who it is: nothing of it is proven before [`verify`](super::verify) says so.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Presented {
    /// A header or a bewit.
    pub kind: PresentedKind,
    /// The client id.
    pub id: String,
    /// When it was signed; for a bewit, when it expires. Seconds since 1970.
    pub ts: u64,
    /// The nonce; empty for a bewit.
    pub nonce: String,
    /// The MAC's bytes.
    pub mac: Vec<u8>,
    /// The hash of the body in base64, to be compared with [`payload_hash`](super::payload_hash) by whoever has the
    /// body.
    pub hash: Option<String>,
    /// The `ext` as it was signed.
    pub ext: Option<String>,
    /// The certificate in the `ext`.
    pub certificate: Option<Certificate>,
    /// The scopes in the `ext` that take the place of all that the credentials have.
    pub authorized_scopes: Option<Vec<String>>,
}

/// The two forms of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresentedKind {
    /// An `Authorization` header.
    Header,
    /// A query parameter `bewit`.
    Bewit,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Ext {
    certificate: Option<Certificate>,
    authorized_scopes: Option<Vec<String>>,
}

impl Presented {
    /// What a request presents in its header or its resource (path and query); `None` if it presents nothing.
    ///
    /// # Errors
    /// If it presents both, or what it presents cannot be read.
    pub fn find(authorization: Option<&str>, resource: &str) -> Result<Option<Self>, HawkError> {
        match (authorization, split_bewit(resource)) {
            (Some(_), Some(_)) => Err(HawkError::Both),
            (Some(header), None) => Self::from_header(header).map(Some),
            (None, Some((_, bewit))) => Self::from_bewit(bewit).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Reads an `Authorization` header.
    ///
    /// # Errors
    /// If it is not Hawk's, lacks `id`, `ts`, `nonce` or `mac`, or has something unknown or twice.
    pub fn from_header(header: &str) -> Result<Self, HawkError> {
        let (scheme, mut rest) = header.trim().split_once(' ').ok_or(HawkError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("hawk") {
            return Err(HawkError::Scheme);
        }
        const NAMES: [&str; 8] = ["id", "ts", "nonce", "mac", "hash", "ext", "app", "dlg"];
        let mut values = [None; NAMES.len()];
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let (name, after) = rest.split_once('=').ok_or(HawkError::Syntax("header format"))?;
            let after = after.trim_start().strip_prefix('"').ok_or(HawkError::Syntax("header format"))?;
            let (value, after) = after.split_once('"').ok_or(HawkError::Syntax("header format"))?;
            let place = NAMES.iter().position(|known| *known == name.trim()).ok_or(HawkError::Syntax("attribute"))?;
            if values[place].replace(value).is_some() {
                return Err(HawkError::Syntax("header: an attribute stands there twice"));
            }
            rest = after;
        }

        let [id, ts, nonce, mac, hash, ext, app, dlg] = values;
        if app.is_some() || dlg.is_some() {
            // They would be part of the MAC; TaskCluster has no use for them.
            return Err(HawkError::Syntax("attribute"));
        }
        let presented = Self {
            kind: PresentedKind::Header,
            id: id.ok_or(HawkError::Missing("id"))?.to_owned(),
            ts: seconds(ts.ok_or(HawkError::Missing("ts"))?)?,
            nonce: nonce.ok_or(HawkError::Missing("nonce"))?.to_owned(),
            mac: decode_mac(mac.ok_or(HawkError::Missing("mac"))?)?,
            hash: hash.map(str::to_owned),
            ext: ext.map(str::to_owned),
            certificate: None,
            authorized_scopes: None,
        };
        presented.with_ext_read()
    }

    /// Reads the value of a query parameter `bewit`.
    ///
    /// # Errors
    /// If it is not base64 of `id\exp\mac\ext`.
    pub fn from_bewit(bewit: &str) -> Result<Self, HawkError> {
        let bytes = BEWIT.decode(bewit).map_err(|_| HawkError::Syntax("bewit"))?;
        let text = String::from_utf8(bytes).map_err(|_| HawkError::Syntax("bewit"))?;
        let parts: Vec<&str> = text.split('\\').collect();
        let &[id, ts, mac, ext] = parts.as_slice() else { return Err(HawkError::Syntax("bewit")) };
        if id.is_empty() || ts.is_empty() || mac.is_empty() {
            return Err(HawkError::Missing("id, exp or mac of the bewit"));
        }
        let presented = Self {
            kind: PresentedKind::Bewit,
            id: id.to_owned(),
            ts: seconds(ts)?,
            nonce: String::new(),
            mac: decode_mac(mac)?,
            hash: None,
            ext: (!ext.is_empty()).then(|| ext.to_owned()),
            certificate: None,
            authorized_scopes: None,
        };
        presented.with_ext_read()
    }

    fn with_ext_read(mut self) -> Result<Self, HawkError> {
        if let Some(ext) = self.ext.as_deref().filter(|ext| !ext.is_empty()) {
            let json = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT).decode(ext);
            let json = json.map_err(|_| HawkError::Ext("not base64".into()))?;
            if !json.trim_ascii_start().starts_with(b"{") {
                return Err(HawkError::Ext("not a JSON object".into()));
            }
            let ext: Ext = serde_json::from_slice(&json).map_err(|error| HawkError::Ext(error.to_string()))?;
            (self.certificate, self.authorized_scopes) = (ext.certificate, ext.authorized_scopes);
        }
        Ok(self)
    }
}

/// Without the MAC, with which somebody else could call as well: TaskCluster's services do not remember nonces.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("ts", &self.ts)
            .field("certificate", &self.certificate)
            .field("authorized_scopes", &self.authorized_scopes)
            .finish_non_exhaustive()
    }
}

fn seconds(text: &str) -> Result<u64, HawkError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= LAST_SECOND);
    seconds.ok_or(HawkError::Syntax("timestamp"))
}

fn decode_mac(text: &str) -> Result<Vec<u8>, HawkError> {
    STANDARD.decode(text).map_err(|_| HawkError::BadMac)
}

/// Takes the parameter `bewit` out of a resource: the resource without it, and its value.
///
/// As in Hawk's own library the last one counts, and the resource is what stands before and after it.
#[must_use]
pub fn split_bewit(resource: &str) -> Option<(Cow<'_, str>, &str)> {
    let question = resource.find('?')?;
    let places = resource[question..].match_indices("bewit=").map(|(place, _)| question + place);
    let place = places.filter(|place| matches!(resource.as_bytes()[place - 1], b'?' | b'&')).last()?;
    let value = &resource[place + "bewit=".len()..];
    match value.split_once('&') {
        Some((value, rest)) if !rest.is_empty() => Some((format!("{}{rest}", &resource[..place]).into(), value)),
        Some((value, _)) => Some((resource[..place - 1].into(), value)),
        None => Some((resource[..place - 1].into(), value)),
    }
}
