//! Bewits and Hawk headers: nobody makes one without the key, and a good one that was changed is worth nothing.
//!
//! An input is three lines (a client id, a scope, a resource), then whatever is tried as a bewit and as a header; behind a
//! zero byte changes to a good URL and a good header.

use taskcluster_core::hawk::{HawkError, Presented, RequestFacts, Signer, split_bewit, verify};
use taskcluster_core::time::minutes;
use taskcluster_core::{Credentials, Secret, Timestamp};

use crate::edits;

pub(crate) fn run(data: &[u8]) {
    let Some((text, changes)) = edits::split(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let (id, scope, resource) = (lines.next(), lines.next(), lines.next());
    let (id, scope, resource) = (id.unwrap_or_default(), scope.unwrap_or_default(), resource.unwrap_or_default());
    let invented = lines.next().unwrap_or_default();

    nobody_invents_one(invented);
    if is_resource(resource) && split_bewit(resource).is_none() {
        a_changed_url_is_worth_nothing(id, scope, resource, changes);
        a_changed_header_is_worth_nothing(id, scope, resource, changes);
    }
}

/// What can stand in the first line of a request.
fn is_resource(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

/// Each client has a token of its own, as a service looks it up by the id.
fn token(id: &str) -> Secret {
    // The id does not stand at the end: zero bytes there make no other key for an HMAC.
    Secret::from(format!("{id} has this token"))
}

fn signer(id: &str, scope: &str) -> Option<Signer> {
    let credentials = Credentials::new(id, token(id));
    let credentials = if scope.is_empty() { credentials } else { credentials.with_authorized_scopes([scope]) };
    Signer::new(&credentials).ok()
}

fn facts(resource: &str) -> RequestFacts<'_> {
    RequestFacts { method: "GET", resource, host: "tc.example.com", port: 443 }
}

fn is_good(presented: &Presented, resource: &str) -> Result<(), HawkError> {
    verify(presented, &token(&presented.id), facts(resource), now(), minutes(15))
}

fn nobody_invents_one(text: &str) {
    for presented in [Presented::from_bewit(text), Presented::from_header(text)].into_iter().flatten() {
        assert!(!presented.mac.is_empty() || is_good(&presented, "/").is_err());
        // Not with the tokens above, which no input knows.
        let other = Secret::from("a token that no input knows");
        assert!(verify(&presented, &other, facts("/"), now(), minutes(15)).is_err(), "{presented:?}");
    }
    if let Ok(Some(presented)) = Presented::find(None, text) {
        let other = Secret::from("a token that no input knows");
        assert!(verify(&presented, &other, facts(text), now(), minutes(15)).is_err(), "{presented:?}");
    }
}

fn a_changed_url_is_worth_nothing(id: &str, scope: &str, resource: &str, changes: &[u8]) {
    let Some(signer) = signer(id, scope) else { return };
    let Ok(bewit) = signer.bewit(facts(resource), now() + minutes(5)) else { return };
    let mark = if resource.contains('?') { '&' } else { '?' };
    let url = format!("{resource}{mark}bewit={bewit}");
    let good = Presented::find(None, &url).expect("our own can be read").expect("there is one");
    assert_eq!(good.id, id);
    assert!(is_good(&good, &url).is_ok(), "{url}");

    let Some(changed) = edits::apply(&url, changes).filter(|changed| is_resource(changed)) else { return };
    let Ok(Some(presented)) = Presented::find(None, &changed) else { return };
    if is_good(&presented, &changed).is_ok() {
        assert_eq!(presented, good, "{changed}");
        assert_eq!(stripped(&changed), stripped(&url), "{changed}");
    }
}

fn stripped(url: &str) -> String {
    split_bewit(url).map_or_else(|| url.to_owned(), |(resource, _)| resource.into_owned())
}

fn a_changed_header_is_worth_nothing(id: &str, scope: &str, resource: &str, changes: &[u8]) {
    let Some(signer) = signer(id, scope) else { return };
    let Ok(header) = signer.header(facts(resource), Some(&[7; 32]), now()) else { return };
    let header = header.to_str().expect("it is ASCII");
    let good = Presented::from_header(header).expect("our own can be read");
    assert!(is_good(&good, resource).is_ok(), "{header}");

    let Some(changed) = edits::apply(header, changes) else { return };
    let Ok(presented) = Presented::from_header(&changed) else { return };
    if is_good(&presented, resource).is_ok() {
        assert_eq!(presented, good, "{changed}");
    }
}
