use std::time::Duration;

use hawk::Key;
use hawk::mac::{Mac, MacType};

use super::{HawkError, Presented, PresentedKind, RequestFacts, signer, split_bewit};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Whether what was presented was signed with `key`, for this request, and is still good.
///
/// A header's time may be `skew` away from ours in either direction; TaskCluster allows 15 minutes and remembers no
/// nonces. A bewit is good until its own time, for GET and HEAD only. The resource is the whole one: a bewit is taken
/// out here.
///
/// What it does not check: that the body has the hash that was signed ([`Presented::hash`]), the certificate, and the
/// scopes.
///
/// ```
/// use taskcluster_core::hawk::{Presented, RequestFacts, sign, verify};
/// use taskcluster_core::time::minutes;
/// use taskcluster_core::{Credentials, Secret, Timestamp};
///
/// let facts = RequestFacts { method: "GET", resource: "/api/auth/v1/clients/?limit=2", host: "tc.example.com", port: 443 };
/// let now = Timestamp::now();
/// let header = sign(&Credentials::new("me", "hunter2"), facts, None, now)?;
///
/// // The service looks up the token of whoever claims to be the caller.
/// let presented = Presented::from_header(header.to_str().expect("ASCII"))?;
/// assert_eq!(presented.id, "me");
/// verify(&presented, &Secret::from("hunter2"), facts, now, minutes(15))?;
/// assert!(verify(&presented, &Secret::from("another"), facts, now, minutes(15)).is_err());
/// # Ok::<(), taskcluster_core::hawk::HawkError>(())
/// ```
///
/// # Errors
/// Says what is wrong. The MAC is looked at first, in constant time.
pub fn verify(
    presented: &Presented,
    key: &Secret,
    facts: RequestFacts<'_>,
    now: Timestamp,
    skew: Duration,
) -> Result<(), HawkError> {
    let key = Key::new(key.expose(), hawk::SHA256).map_err(HawkError::Crypto)?;
    let ts = Timestamp::from_millis(i64::try_from(presented.ts).unwrap_or(i64::MAX).saturating_mul(1000));
    let mac = Mac::from(presented.mac.clone());
    let ext = presented.ext.as_deref();
    match presented.kind {
        PresentedKind::Header => {
            let hash = presented.hash.as_deref().map(decode_hash).transpose()?;
            let ours = signer::mac(MacType::Header, &key, facts, presented.ts, &presented.nonce, hash.as_deref(), ext)?;
            if ours != mac {
                return Err(HawkError::BadMac);
            }
            if ts.distance(now) > skew { Err(HawkError::StaleTimestamp) } else { Ok(()) }
        }
        PresentedKind::Bewit => {
            if !facts.method.eq_ignore_ascii_case("get") && !facts.method.eq_ignore_ascii_case("head") {
                return Err(HawkError::Method);
            }
            let resource = split_bewit(facts.resource).map_or(facts.resource.into(), |(resource, _)| resource);
            let facts = RequestFacts { method: "GET", resource: &resource, ..facts };
            let ours = signer::mac(MacType::Bewit, &key, facts, presented.ts, "", None, ext)?;
            if ours != mac {
                return Err(HawkError::BadMac);
            }
            if ts <= now { Err(HawkError::Expired) } else { Ok(()) }
        }
    }
}

/// The `hawk` crate takes the hash's bytes and writes them back as base64.
fn decode_hash(hash: &str) -> Result<Vec<u8>, HawkError> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(hash).map_err(|_| HawkError::Syntax("hash"))
}

#[cfg(test)]
mod tests {
    use super::super::{Signer, digest_payload, payload_hash, sign};
    use super::*;
    use crate::credentials::{Certificate, Credentials};
    use crate::time::minutes;

    const FACTS: RequestFacts<'_> = RequestFacts {
        method: "get",
        resource: "/api/auth/v1/clients/?prefix=x%2Fy",
        host: "TC.example.com",
        port: 443,
    };

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn credentials() -> Credentials {
        let certificate = Certificate::unsigned(vec!["a".into()], now(), now() + minutes(5), "s".repeat(44), None);
        Credentials::new("client/1", "key").with_certificate(certificate).with_authorized_scopes(["a"])
    }

    fn presented() -> Presented {
        let header = sign(&credentials(), FACTS, Some(("Application/JSON; charset=utf-8", b"{}")), now()).unwrap();
        Presented::find(Some(header.to_str().unwrap()), FACTS.resource).unwrap().unwrap()
    }

    fn check(presented: &Presented, facts: RequestFacts<'_>, now: Timestamp) -> Result<(), String> {
        verify(presented, &"key".into(), facts, now, minutes(15)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_signed_is_read_and_accepted() {
        let presented = presented();
        assert_eq!(presented.id, "client/1");
        assert_eq!(presented.certificate, credentials().certificate);
        assert_eq!(presented.authorized_scopes, Some(vec!["a".to_owned()]));
        assert_eq!(presented.hash, Some(payload_hash("application/json", b"{}")));
        assert_eq!(check(&presented, FACTS, now()), Ok(()));
        assert_eq!(check(&presented, RequestFacts { method: "GET", host: "tc.EXAMPLE.com", ..FACTS }, now()), Ok(()));
    }

    #[test]
    fn every_part_of_the_request_counts() {
        let presented = presented();
        for facts in [
            RequestFacts { method: "PUT", ..FACTS },
            RequestFacts { resource: "/api/auth/v1/clients/", ..FACTS },
            RequestFacts { host: "evil.example.com", ..FACTS },
            RequestFacts { port: 80, ..FACTS },
        ] {
            assert_eq!(check(&presented, facts, now()), Err("bad mac".into()), "{facts:?}");
        }
        let other_hash = Presented { hash: Some(payload_hash("application/json", b"[]")), ..presented.clone() };
        assert_eq!(check(&other_hash, FACTS, now()), Err("bad mac".into()));
        let no_ext = Presented { ext: None, ..presented.clone() };
        assert_eq!(check(&no_ext, FACTS, now()), Err("bad mac".into()));
        assert!(matches!(verify(&presented, &"other".into(), FACTS, now(), minutes(15)), Err(HawkError::BadMac)));
    }

    #[test]
    fn a_header_is_good_for_the_skew_in_either_direction() {
        let presented = presented();
        assert_eq!(check(&presented, FACTS, now() + minutes(15)), Ok(()));
        assert_eq!(check(&presented, FACTS, now() - minutes(15)), Ok(()));
        assert_eq!(check(&presented, FACTS, now() + minutes(16)), Err("stale timestamp".into()));
        assert_eq!(check(&presented, FACTS, now() - minutes(16)), Err("stale timestamp".into()));
    }

    #[test]
    fn a_bewit_is_good_until_it_expires_wherever_it_stands() {
        let bewit = Signer::new(&credentials()).unwrap().bewit(FACTS, now() + minutes(5)).unwrap();
        for resource in [
            format!("/api/auth/v1/clients/?bewit={bewit}&prefix=x%2Fy"),
            format!("/api/auth/v1/clients/?prefix=x%2Fy&bewit={bewit}"),
            format!("/api/auth/v1/clients/?prefix=x%2Fy&bewit={bewit}&"),
        ] {
            let presented = Presented::find(None, &resource).unwrap().unwrap();
            assert_eq!((presented.kind, presented.id.as_str()), (PresentedKind::Bewit, "client/1"));
            let facts = RequestFacts { resource: &resource, ..FACTS };
            assert_eq!(check(&presented, facts, now()), Ok(()), "{resource}");
            assert_eq!(check(&presented, RequestFacts { method: "HEAD", ..facts }, now()), Ok(()));
            assert_eq!(
                check(&presented, RequestFacts { method: "POST", ..facts }, now()),
                Err("invalid method for a bewit".into())
            );
            assert_eq!(check(&presented, facts, now() + minutes(5)), Err("access expired".into()));
            assert_eq!(check(&presented, RequestFacts { port: 1, ..facts }, now()), Err("bad mac".into()));
            assert!(matches!(Presented::find(Some("Hawk id=\"x\""), &resource), Err(HawkError::Both)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_a_panic() {
        let good = "Hawk id=\"a\", ts=\"1\", nonce=\"n\", mac=\"AAAA\"";
        assert!(Presented::from_header(good).is_ok());
        for header in [
            "",
            "Hawk",
            "Basic abc",
            "Hawk id=\"a\"",
            "Hawk id=a",
            "Hawk id=\"a",
            "Hawk =\"\"",
            &format!("{good}, id=\"b\""),
            &format!("{good}, other=\"b\""),
            &format!("{good}, dlg=\"b\""),
            &format!("{good}, ext=\"!\""),
            &format!("{good}, ext=\"W10\""),
            "Hawk id=\"a\", ts=\"18446744073709551615\", nonce=\"n\", mac=\"AAAA\"",
            "Hawk id=\"a\", ts=\"-1\", nonce=\"n\", mac=\"AAAA\"",
            "Hawk id=\"a\", ts=\"1\", nonce=\"n\", mac=\"!\"",
        ] {
            assert!(Presented::from_header(header).is_err(), "{header}");
        }
        for bewit in ["", "!", "YQ", "XFxc", "YVw5OTk5OTk5OTk5OTk5OTk5OTlcQUFBQVw"] {
            assert!(Presented::from_bewit(bewit).is_err(), "{bewit}");
        }
        assert!(Presented::find(None, "/path?prefix=bewit=x").unwrap().is_none());
    }

    #[test]
    fn parameters_of_the_content_type_do_not_count() {
        let plain = digest_payload("text/plain", b"Thank you for flying Hawk");
        let other = digest_payload(" Text/Plain ; charset=utf-8", b"Thank you for flying Hawk");
        assert_eq!(plain.as_ref(), other.as_ref());
        // The example of Hawk's own documentation.
        assert_eq!(
            payload_hash("text/plain", b"Thank you for flying Hawk"),
            "Yi9LfIIFRtBEPt74PVmbTF/xVAwPn7ub15ePICfgnuY="
        );
    }
}
