//! Everything that can be wrong with what a caller adds to its signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use taskcluster_core::Credentials;
use taskcluster_core::hawk::Signer;
use taskcluster_core::time::{days, hours};

use crate::authenticated::{FACTS, with_header};
use crate::deployment::Deployment;

/// The refusal of a request that is signed by these credentials but for this `ext`.
async fn refusal(auth: &Deployment, signer: &Credentials, ext: String) -> String {
    let signer = Signer::with_ext(&signer.client_id, signer.access_token.expose(), Some(ext)).unwrap();
    let header = signer.header(FACTS, None, auth.now()).unwrap();
    auth.refusal(&with_header(header.to_str().unwrap())).await
}

fn encoded(ext: &Value) -> String {
    STANDARD.encode(ext.to_string())
}

/// The refusal of valid temporary credentials whose certificate was changed.
async fn refusal_of(change: impl FnOnce(&mut Value)) -> String {
    let auth = Deployment::start().await;
    let client = auth.client("issuer", &["x:*", "auth:create-client:named"]).await;
    let now = auth.now();
    let temporary = client.temporary(&["x:1"], now, now + hours(1), Some("named")).unwrap();
    let mut certificate = serde_json::to_value(temporary.certificate.as_ref().unwrap()).unwrap();
    change(&mut certificate);
    refusal(&auth, &temporary, encoded(&json!({ "certificate": certificate }))).await
}

/// One test per change and the words that the refusal must have.
macro_rules! refuses {
    ($($name:ident: |$certificate:ident| $change:expr => $words:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let message = refusal_of(|$certificate| { $change; }).await;
            assert!(message.contains($words), "{message}");
        }
    )*};
}

fn remove(certificate: &mut Value, name: &str) {
    certificate.as_object_mut().unwrap().remove(name);
}

refuses! {
    no_object: |certificate| *certificate = json!("text") => "ext";
    no_version: |certificate| remove(certificate, "version") => "ext";
    version_2: |certificate| certificate["version"] = json!(2) => "version";
    no_seed: |certificate| remove(certificate, "seed") => "seed";
    short_seed: |certificate| certificate["seed"] = json!("short") => "seed";
    other_seed: |certificate| certificate["seed"] = json!("x".repeat(44)) => "signature";
    no_start: |certificate| remove(certificate, "start") => "start";
    start_as_text: |certificate| certificate["start"] = json!("2026-01-02T03:04:05Z") => "ext";
    other_start: |certificate| certificate["start"] = json!(1_767_323_044_000_i64) => "signature";
    no_expiry: |certificate| remove(certificate, "expiry") => "expiry";
    other_expiry: |certificate| certificate["expiry"] = json!(1_767_323_046_000_i64) => "signature";
    no_scopes: |certificate| remove(certificate, "scopes") => "scopes";
    odd_scopes: |certificate| certificate["scopes"] = json!(["with\nnewline"]) => "scopes";
    other_scopes: |certificate| certificate["scopes"] = json!(["x:2"]) => "signature";
    more_scopes: |certificate| certificate["scopes"] = json!(["x:1", "y"]) => "does not have";
    no_signature: |certificate| remove(certificate, "signature") => "signature";
    other_signature: |certificate| certificate["signature"] = json!("AAAA") => "signature";
    no_issuer: |certificate| remove(certificate, "issuer") => "client 'named' does not exist";
    itself_as_issuer: |certificate| certificate["issuer"] = json!("named") => "client 'named' does not exist";
    absent_issuer: |certificate| certificate["issuer"] = json!("absent") => "client 'absent' does not exist";
    root_as_issuer: |certificate| certificate["issuer"] = json!("static/taskcluster/root") => "signature";
}

#[tokio::test]
async fn another_name_than_the_certificate_was_made_for() {
    let auth = Deployment::start().await;
    let client = auth.client("issuer", &["x", "auth:create-client:*"]).await;
    let now = auth.now();
    let temporary = client.temporary(&["x"], now, now + hours(1), Some("one")).unwrap();
    let mut renamed = temporary.clone();
    renamed.client_id = "two".to_owned();
    let ext = encoded(&json!({ "certificate": temporary.certificate }));
    let message = refusal(&auth, &renamed, ext).await;
    assert!(message.contains("signature"), "{message}");
}

#[tokio::test]
async fn a_name_that_the_issuer_may_not_give() {
    let auth = Deployment::start().await;
    let client = auth.client("issuer", &["x"]).await;
    let now = auth.now();
    let temporary = client.temporary(&["x"], now, now + hours(1), Some("named")).unwrap();
    let ext = encoded(&json!({ "certificate": temporary.certificate }));
    let message = refusal(&auth, &temporary, ext).await;
    assert!(message.contains("auth:create-client:named"), "{message}");
}

#[tokio::test]
async fn temporary_credentials_issue_no_others() {
    let auth = Deployment::start().await;
    let client = auth.client("issuer", &["x", "auth:create-client:*"]).await;
    let now = auth.now();
    let first = client.temporary(&["x", "auth:create-client:*"], now, now + hours(1), Some("first")).unwrap();
    let as_if_permanent = Credentials::new("first", first.access_token.expose());
    let second = as_if_permanent.temporary(&["x"], now, now + hours(1), Some("second")).unwrap();
    let ext = encoded(&json!({ "certificate": second.certificate }));
    assert_eq!(refusal(&auth, &second, ext).await, "client 'first' does not exist");
}

#[tokio::test]
async fn times_are_checked_with_some_tolerance() {
    let auth = Deployment::start().await;
    let client = auth.client("issuer", &["x"]).await;
    let now = auth.now();
    for (start, expiry, words) in
        [(now + hours(1), now + hours(2), "start"), (now - hours(2), now - hours(1), "expiry")]
    {
        let temporary = client.temporary(&["x"], start, expiry, None).unwrap();
        let ext = encoded(&json!({ "certificate": temporary.certificate }));
        let message = refusal(&auth, &temporary, ext).await;
        assert!(message.contains(words), "{message}");
    }
    let temporary = client.temporary(&["x"], now, now + days(31), None).unwrap();
    let mut certificate = serde_json::to_value(&temporary.certificate).unwrap();
    certificate["expiry"] = json!((now + days(32)).as_millis());
    let message = refusal(&auth, &temporary, encoded(&json!({ "certificate": certificate }))).await;
    assert!(message.contains("31 days"), "{message}");
}

#[tokio::test]
async fn an_ext_that_is_none() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["x"]).await;
    for ext in ["%%%".to_owned(), STANDARD.encode("no json"), STANDARD.encode("[]"), STANDARD.encode("17")] {
        let message = refusal(&auth, &client, ext).await;
        assert!(message.contains("ext"), "{message}");
    }
    for scopes in [json!("x"), json!([1]), json!(["with\nnewline"]), json!({})] {
        let message = refusal(&auth, &client, encoded(&json!({ "authorizedScopes": scopes }))).await;
        assert!(message.contains("ext"), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_known_in_an_ext_does_not_matter() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["x"]).await;
    let ext = encoded(&json!({ "somethingElse": 1, "certificate": null }));
    let signer = Signer::with_ext(&client.client_id, client.access_token.expose(), Some(ext)).unwrap();
    let header = signer.header(FACTS, None, auth.now()).unwrap();
    let outcome = auth.judge(&with_header(header.to_str().unwrap())).await;
    assert!(matches!(outcome, taskcluster_server::AuthOutcome::Success { .. }), "{outcome:?}");
}
