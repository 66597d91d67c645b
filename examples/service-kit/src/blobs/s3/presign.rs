//! Signed URLs as S3 understands them (signature version 4 in the query).
//!
//! Written out here rather than taken from a client library: it is a page of code over the hash that is here anyway, and
//! signing needs no connection, so that a URL costs no request.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use taskcluster_core::secret::Secret;
use taskcluster_core::time::Timestamp;
use url::Url;

/// What S3 leaves as it is in paths and queries.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// No URL may live longer.
const LONGEST: i64 = 7 * 24 * 60 * 60;

/// Who signs, and for where.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret,
    /// Temporary credentials have one.
    pub(super) session_token: Option<Secret>,
    pub(super) region: String,
}

/// What one URL shall allow.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    /// What the query says beside the signature.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Headers that a request must bring exactly so, names in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) now: Timestamp,
    pub(super) expires: Timestamp,
}

impl Signer {
    /// `url` with a signature in its query, where its path is encoded already.
    pub(super) fn sign(&self, mut url: Url, wanted: &Wanted<'_>) -> Url {
        let time = basic(wanted.now);
        let scope = format!("{}/{}/s3/aws4_request", &time[..8], self.region);
        let host = host(&url);
        let mut headers: Vec<(&str, String)> =
            wanted.headers.iter().map(|(name, value)| (*name, collapse(value))).collect();
        headers.push(("host", host));
        headers.sort();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");

        let credential = format!("{}/{scope}", self.access_key_id);
        let seconds = lifetime(wanted.now, wanted.expires).to_string();
        let mut query = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", &names),
        ];
        if let Some(token) = &self.session_token {
            query.push(("X-Amz-Security-Token", token.expose()));
        }
        query.extend(wanted.query);
        let mut query: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        query.sort();
        let query = query.join("&");

        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{}\n{}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD", wanted.method, url.path());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let signature = hex(&hmac(&self.key(&time[..8]), &text));
        url.set_query(Some(&format!("{query}&X-Amz-Signature={signature}")));
        url
    }

    fn key(&self, day: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret_access_key.expose());
        [day, &self.region, "s3", "aws4_request"].iter().fold(first.into_bytes(), |key, part| hmac(&key, part))
    }
}

/// One segment of a path, or a part of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `20130524T000000Z`
fn basic(time: Timestamp) -> String {
    let digits: String = time.to_string().chars().take(19).filter(|char| !matches!(char, '-' | ':')).collect();
    digits + "Z"
}

/// In whole seconds after the second that the URL names; it lives at least as long as it was asked to.
fn lifetime(now: Timestamp, expires: Timestamp) -> i64 {
    let end = (expires.as_millis() + 999).div_euclid(1000);
    (end - now.as_millis().div_euclid(1000)).clamp(1, LONGEST)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// S3 reads several spaces as one.
fn collapse(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation of S3.
    #[test]
    fn signs_as_the_documentation_does() {
        let signer = Signer {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: "us-east-1".into(),
        };
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let expires = now + std::time::Duration::from_secs(86400);
        let url = "https://examplebucket.s3.amazonaws.com/test.txt".parse().unwrap();
        let url = signer.sign(url, &Wanted { method: "GET", query: &[], headers: &[], now, expires });
        let wanted = "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(url.as_str().ends_with(wanted), "{url}");
    }

    #[test]
    fn a_url_lives_as_long_as_asked_but_not_for_ever() {
        let at = Timestamp::from_millis;
        assert_eq!(lifetime(at(1_900), at(2_100)), 2, "from second 1 to second 3");
        assert_eq!(lifetime(at(5_000), at(1_000)), 1);
        assert_eq!(lifetime(at(0), at(i64::MAX / 2)), LONGEST);
        assert_eq!(basic(at(1_369_353_600_999)), "20130524T000000Z");
    }
}
