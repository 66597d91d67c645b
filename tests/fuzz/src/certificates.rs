//! Certificates of temporary credentials: nobody makes one without the issuer's token, and one that was changed is worth
//! nothing.
//!
//! An input is a name (or an empty line), then a scope per line; behind a zero byte changes to the certificate. The whole
//! input is tried as a certificate, too.

use taskcluster_core::time::hours;
use taskcluster_core::{Certificate, Credentials, Secret, Timestamp};

use crate::edits;

const ISSUER: &str = "issuer";

pub(crate) fn run(data: &[u8]) {
    let Some((text, changes)) = edits::split(data) else { return };
    if let Ok(certificate) = Certificate::from_json(text) {
        nobody_invents_one(&certificate);
    }
    let mut lines = text.lines();
    let name = lines.next().filter(|name| !name.is_empty());
    let scopes: Vec<&str> = lines.collect();
    a_changed_one_is_worth_nothing(name, &scopes, changes);
}

fn token() -> Secret {
    Secret::from("a token that no input knows")
}

fn nobody_invents_one(certificate: &Certificate) {
    let text = certificate.to_json();
    assert_eq!(Certificate::from_json(&text).expect("what was written"), *certificate);
    let issuer = certificate.issuer.as_deref().unwrap_or(ISSUER);
    assert!(!certificate.is_signed_by(issuer, &token()), "{certificate:?}");
    // Times of any size can be asked for.
    let _ = (certificate.starts(), certificate.expires());
    let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for certificate_of_claim in [serde_json::Value::from(text), object] {
        let claim = serde_json::json!({ "clientId": "x", "accessToken": "t", "certificate": certificate_of_claim });
        let credentials: Credentials = serde_json::from_value(claim).expect("both forms can be read");
        assert_eq!(credentials.certificate.as_ref(), Some(certificate));
    }
}

fn a_changed_one_is_worth_nothing(name: Option<&str>, scopes: &[&str], changes: &[u8]) {
    let start = Timestamp::from_millis(1_795_000_000_000);
    let issuer = Credentials::new(ISSUER, token());
    let Ok(temporary) = issuer.temporary(scopes, start, start + hours(1), name) else { return };
    let certificate = temporary.certificate.expect("temporary credentials have one");
    let client_id = &temporary.client_id;
    assert!(certificate.is_signed_by(client_id, &token()), "{certificate:?}");
    assert_eq!(certificate.access_token(&token()), temporary.access_token);
    assert!(!certificate.is_signed_by(client_id, &"another".into()));

    let Some(changed) = edits::apply(&certificate.to_json(), changes) else { return };
    let Ok(changed) = Certificate::from_json(&changed) else { return };
    if changed.is_signed_by(client_id, &token()) {
        // With the one scope that is empty, and permits nothing, the signed text is that of the JavaScript clients without any.
        let without_empty = |mut certificate: Certificate| {
            certificate.scopes.retain(|scope| !scope.is_empty());
            certificate
        };
        assert_eq!(without_empty(changed), without_empty(certificate.clone()));
    }
    // The name is part of it where there is one.
    if let (Some(other), Some(name)) = (edits::apply(client_id, changes), name)
        && other != name
    {
        assert!(!certificate.is_signed_by(&other, &token()), "{other:?}");
    }
}
