//! Signed URLs: what may be done with which blob, and until when.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use taskcluster_core::time::Timestamp;
use url::{Url, form_urlencoded};

/// The whole key becomes one segment of the path, so that no `..` in it means anything to anybody on the way.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// What a URL allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) key: String,
    /// Uploads name their content type.
    pub(super) upload: Option<Upload>,
    /// Unix seconds.
    pub(super) expires: i64,
}

/// What an upload must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) content_type: String,
    pub(super) content_length: Option<u64>,
}

/// Why a URL is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was not signed by us, or changed since.
    Signature,
    /// Its time is over.
    Expired,
}

/// Signs and checks URLs.
#[derive(Clone)]
pub(super) struct Signer {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self { mac: Hmac::new_from_slice(secret).expect("HMAC takes keys of any length") }
    }

    /// The URL below `base` for what is granted.
    pub(super) fn url(&self, base: &Url, grant: &Grant) -> Url {
        let mut url = base.clone();
        let folder = base.path().trim_end_matches('/');
        url.set_path(&format!("{folder}/{}", utf8_percent_encode(&grant.key, KEY)));
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("expires", &grant.expires.to_string());
            if let Some(upload) = &grant.upload {
                query.append_pair("type", &upload.content_type);
                if let Some(length) = upload.content_length {
                    query.append_pair("length", &length.to_string());
                }
            }
            query.append_pair("signature", &URL_SAFE_NO_PAD.encode(self.signed(grant).finalize().into_bytes()));
        }
        url
    }

    /// What a request's URL grants. `raw_key` is the path's last segment as it came.
    pub(super) fn check(&self, method: &Method, raw_key: &str, query: &str, now: Timestamp) -> Result<Grant, Refused> {
        let key = percent_decode_str(raw_key).decode_utf8().map_err(|_| Refused::Signature)?.into_owned();
        let value = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let number = |name| value(name).map(|digits| digits.parse::<u64>().map_err(|_| Refused::Signature)).transpose();
        let expires = number("expires")?.and_then(|expires| i64::try_from(expires).ok()).ok_or(Refused::Signature)?;
        let upload = match *method {
            Method::PUT => {
                let content_type = value("type").ok_or(Refused::Signature)?;
                Some(Upload { content_type, content_length: number("length")? })
            }
            _ => None,
        };
        let grant = Grant { key, upload, expires };
        let signature =
            value("signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(Refused::Signature)?;
        self.signed(&grant).verify_slice(&signature).map_err(|_| Refused::Signature)?;
        if now.as_millis() >= expires.saturating_mul(1000) { Err(Refused::Expired) } else { Ok(grant) }
    }

    /// Every part is preceded by its length, so that no two grants read the same.
    fn signed(&self, grant: &Grant) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        let mut part = |text: &str| {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        };
        part(&grant.key);
        part(&grant.expires.to_string());
        if let Some(upload) = &grant.upload {
            part("upload");
            part(&upload.content_type);
            part(&upload.content_length.map(|length| length.to_string()).unwrap_or_default());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &Url) -> (&str, &str) {
        (url.path().rsplit_once('/').unwrap().1, url.query().unwrap())
    }

    #[test]
    fn a_url_grants_what_was_signed_and_nothing_else() {
        let signer = Signer::new(b"secret");
        let base: Url = "https://tc.example/blobs".parse().unwrap();
        let now = Timestamp::from_millis(1_000_000);
        let upload = Upload { content_type: "text/plain; charset=utf-8".into(), content_length: Some(7) };
        let grant = Grant { key: "a/../b c?#ü".into(), upload: Some(upload), expires: 2_000 };
        let url = signer.url(&base, &grant);
        assert!(url.path().starts_with("/blobs/a%2F..%2Fb%20c"), "{url}");
        let (key, query) = parts(&url);
        assert_eq!(signer.check(&Method::PUT, key, query, now), Ok(grant.clone()));

        let refused = Err(Refused::Signature);
        assert_eq!(signer.check(&Method::GET, key, query, now), refused, "an upload is no download");
        assert_eq!(signer.check(&Method::PUT, "other", query, now), refused);
        assert_eq!(signer.check(&Method::PUT, key, &query.replace("length=7", "length=8"), now), refused);
        assert_eq!(signer.check(&Method::PUT, key, &query.replace("length=7&", ""), now), refused);
        assert_eq!(signer.check(&Method::PUT, key, &query.replace("plain", "html"), now), refused);
        assert_eq!(signer.check(&Method::PUT, key, &query.replace("expires=2000", "expires=9000"), now), refused);
        assert_eq!(Signer::new(b"other").check(&Method::PUT, key, query, now), refused);
        let later = Timestamp::from_millis(2_000_000);
        assert_eq!(signer.check(&Method::PUT, key, query, later), Err(Refused::Expired));

        let download = signer.url(&base, &Grant { upload: None, ..grant });
        let (key, query) = parts(&download);
        assert!(signer.check(&Method::GET, key, query, now).is_ok());
        assert!(signer.check(&Method::HEAD, key, query, now).is_ok());
        assert_eq!(signer.check(&Method::PUT, key, query, now), refused, "a download is no upload");
    }
}
