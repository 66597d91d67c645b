//! What other implementations of TaskCluster's clients compute, to the byte. `fixtures/` holds what they gave for inputs
//! that were made up for the purpose.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use taskcluster_core::hawk::{Presented, RequestFacts, Signer, payload_hash, verify};
use taskcluster_core::scopes::satisfies;
use taskcluster_core::time::from_now;
use taskcluster_core::{Certificate, RootUrl, ScopeExpression, ScopeSet, Secret, Timestamp};

fn read<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let vectors: Vec<T> = serde_json::from_str(text).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

/// Host, port and resource of a URL.
fn facts<'a>(url: &'a str, root: &'a RootUrl, method: &'a str) -> RequestFacts<'a> {
    let start = url.find("://").unwrap() + 3;
    let resource = &url[start + url[start..].find('/').unwrap()..];
    RequestFacts { method, resource, host: root.host(), port: root.port() }
}

fn root(url: &str) -> RootUrl {
    let mut root = url::Url::parse(url).unwrap();
    root.set_path("");
    root.set_query(None);
    root.try_into().unwrap()
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[test]
fn temporary_credentials() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        issuer: String,
        issuer_access_token: Secret,
        name: Option<String>,
        client_id: String,
        access_token: Secret,
        certificate: Certificate,
    }

    for vector in read::<Vector>(include_str!("fixtures/temporary-credentials.json")) {
        let Vector { issuer, issuer_access_token: token, name, client_id, access_token, certificate } = vector;
        assert_eq!(client_id, name.clone().unwrap_or_else(|| issuer.clone()));
        assert_eq!(certificate.issuer, name.map(|_| issuer));
        assert_eq!(certificate.sign(&client_id, &token), certificate.signature);
        assert!(certificate.is_signed_by(&client_id, &token));
        assert_eq!(certificate.access_token(&token).expose(), access_token.expose());
    }
}

#[test]
fn hawk_headers() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        client_id: String,
        access_token: Secret,
        method: String,
        url: String,
        ts: i64,
        nonce: String,
        ext: Option<String>,
        content_type: Option<String>,
        body: Option<String>,
        header: String,
    }

    for vector in read::<Vector>(include_str!("fixtures/hawk-headers.json")) {
        let root = root(&vector.url);
        let facts = facts(&vector.url, &root, &vector.method);
        let theirs = Presented::from_header(&vector.header).unwrap();
        assert_eq!((&theirs.id, &theirs.nonce, &theirs.ext), (&vector.client_id, &vector.nonce, &vector.ext));
        let hash = vector.content_type.zip(vector.body).map(|(kind, body)| payload_hash(&kind, body.as_bytes()));
        assert_eq!(theirs.hash, hash);
        // Equal keys and texts give equal MACs, so that accepting their header proves that ours would be the same.
        verify(&theirs, &vector.access_token, facts, seconds(vector.ts), Duration::ZERO).unwrap();

        let signer = Signer::with_ext(&vector.client_id, vector.access_token.expose(), vector.ext).unwrap();
        let ours = signer.header(facts, None, seconds(vector.ts)).unwrap();
        let ours = Presented::from_header(ours.to_str().unwrap()).unwrap();
        verify(&ours, &vector.access_token, facts, seconds(vector.ts), Duration::ZERO).unwrap();
    }
}

#[test]
fn bewits() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        client_id: String,
        access_token: Secret,
        url: String,
        exp: i64,
        ext: String,
        bewit: String,
    }

    for vector in read::<Vector>(include_str!("fixtures/bewits.json")) {
        let root = root(&vector.url);
        let facts = facts(&vector.url, &root, "GET");
        let ext = Some(vector.ext.clone()).filter(|ext| !ext.is_empty());
        let signer = Signer::with_ext(&vector.client_id, vector.access_token.expose(), ext.clone()).unwrap();
        // Some clients pad, we do not; every server takes both.
        assert_eq!(signer.bewit(facts, seconds(vector.exp)).unwrap(), vector.bewit.trim_end_matches('='));

        let separator = if facts.resource.contains('?') { '&' } else { '?' };
        let resource = format!("{}{separator}bewit={}", facts.resource, vector.bewit);
        let presented = Presented::find(None, &resource).unwrap().unwrap();
        assert_eq!(presented.ext, ext);
        let facts = RequestFacts { resource: &resource, ..facts };
        verify(&presented, &vector.access_token, facts, seconds(vector.exp - 1), Duration::ZERO).unwrap();
        verify(&presented, &vector.access_token, facts, seconds(vector.exp), Duration::ZERO).unwrap_err();
    }
}

#[test]
fn scope_satisfaction() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        held: Vec<String>,
        any_of_all_of: Vec<Vec<String>>,
        satisfied: bool,
    }

    for Vector { held, any_of_all_of, satisfied } in read(include_str!("fixtures/scope-satisfaction.json")) {
        let by_list = any_of_all_of.iter().any(|all| all.iter().all(|scope| satisfies(&held, scope)));
        assert_eq!(by_list, satisfied, "{held:?} {any_of_all_of:?}");

        let set = ScopeSet::from_iter(held);
        assert_eq!(any_of_all_of.iter().any(|all| set.satisfies_all(all)), satisfied, "{set:?} {any_of_all_of:?}");

        let all = |scopes: Vec<String>| scopes.into_iter().map(ScopeExpression::Scope).collect();
        let any = any_of_all_of.into_iter().map(|scopes| ScopeExpression::AllOf(all(scopes))).collect();
        let expression = ScopeExpression::AnyOf(any);
        assert_eq!(expression.satisfied_by(&set), satisfied, "{set:?} {expression}");
        assert_eq!(expression.remainder(&set).is_none(), satisfied, "{set:?} {expression}");
    }
}

#[test]
fn scope_normalization() {
    #[derive(Deserialize)]
    struct Vector {
        given: Vec<String>,
        normalized: Vec<String>,
    }

    for Vector { given, mut normalized } in read(include_str!("fixtures/scope-normalization.json")) {
        // The fixtures keep the order in which the scopes were given.
        normalized.sort_by(|a, b| taskcluster_core::scopes::compare(a, b));
        normalized.dedup();
        assert_eq!(ScopeSet::from_iter(given).into_vec(), normalized);
    }
}

#[test]
fn relative_times() {
    #[derive(Deserialize)]
    struct Vector {
        text: String,
        seconds: Option<f64>,
        error: Option<String>,
    }

    let now: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    for vector in read::<Vector>(include_str!("fixtures/from-now.json")) {
        let ours = from_now(&vector.text, now).map(|time| (time.as_millis() - now.as_millis()) as f64 / 1000.0);
        assert_eq!(ours.clone().ok(), vector.seconds, "{:?}", vector.text);
        assert_eq!(ours.is_err(), vector.error.is_some(), "{:?}", vector.text);
    }
}
