//! `testAuthenticate` and `testAuthenticateGet`: whether a client signs as it should.

use taskcluster::auth::TestAuthenticateRequest;
use taskcluster_core::time::{hours, minutes};
use taskcluster_core::{Credentials, Error};

use crate::deployment::{Deployment, owned, refused};

/// The client that exists only in these methods.
fn tester() -> Credentials {
    Credentials::new("tester", "no-secret")
}

const FORBIDDEN: (u16, &str) = (403, "InsufficientScopes");
const UNAUTHORIZED: (u16, &str) = (401, "AuthenticationFailed");

#[track_caller]
fn assert_outcome<T: std::fmt::Debug>(result: Result<T, Error>, expected: Result<(), (u16, &str)>) {
    match expected {
        Ok(()) => assert!(result.is_ok(), "{result:?}"),
        Err((status, code)) => assert_eq!(refused(result), (status, code.to_owned())),
    }
}

/// What comes of a request that is signed so, by a client that has these scopes, where those are needed.
async fn try_out(credentials: Credentials, has: &[&str], needs: &[&str], expected: Result<(), (u16, &str)>) {
    let auth = Deployment::start().await;
    let request = TestAuthenticateRequest::new(owned(has), owned(needs));
    assert_outcome(auth.by(credentials).test_authenticate(&request).await, expected);
}

/// The same for the method without a body.
async fn try_out_get(credentials: Credentials, expected: Result<(), (u16, &str)>) {
    let auth = Deployment::start().await;
    assert_outcome(auth.by(credentials).test_authenticate_get().await, expected);
}

#[tokio::test]
async fn plain_credentials() {
    try_out(tester(), &["test-scope:test"], &["test-scope:test"], Ok(())).await;
    try_out(tester(), &["test*"], &["test-scope:test"], Ok(())).await;
    try_out(tester(), &[], &[], Ok(())).await;
    try_out(tester(), &["other"], &["test-scope:test"], Err(FORBIDDEN)).await;
    try_out(Credentials::new("tester", "wrong"), &["test*"], &["test"], Err(UNAUTHORIZED)).await;
    try_out(Credentials::new("absent", "no-secret"), &["test*"], &["test"], Err(UNAUTHORIZED)).await;
    try_out_get(tester(), Ok(())).await;
    try_out_get(Credentials::new("tester", "wrong"), Err(UNAUTHORIZED)).await;
}

#[tokio::test]
async fn limited_credentials() {
    let limited = |scopes: &[&str]| tester().with_authorized_scopes(owned(scopes));
    try_out(limited(&["test:a"]), &["test:*"], &["test:a"], Ok(())).await;
    try_out(limited(&["test:a"]), &["test:*"], &["test:b"], Err(FORBIDDEN)).await;
    try_out(limited(&["test:a", "more"]), &["test:*"], &["test:a"], Err(UNAUTHORIZED)).await;
    try_out(limited(&[]), &["test:*"], &["test:a"], Err(FORBIDDEN)).await;
    try_out_get(limited(&["test:authenticate-get"]), Ok(())).await;
    try_out_get(limited(&["test:something-else"]), Err(FORBIDDEN)).await;
    try_out_get(limited(&["nothing-of-mine"]), Err(UNAUTHORIZED)).await;
}

#[tokio::test]
async fn temporary_credentials() {
    let now = crate::deployment::START.parse().unwrap();
    let temporary =
        |scopes: &[&str], name: Option<&str>| tester().temporary(scopes, now, now + hours(1), name).unwrap();
    let has = ["test:*", "auth:create-client:tester/*"];
    try_out(temporary(&["test:a"], None), &has, &["test:a"], Ok(())).await;
    try_out(temporary(&["test:a"], None), &has, &["test:b"], Err(FORBIDDEN)).await;
    try_out(temporary(&["more"], None), &has, &["test:a"], Err(UNAUTHORIZED)).await;
    try_out(temporary(&["test:a"], Some("tester/x")), &has, &["test:a"], Ok(())).await;
    try_out(temporary(&["test:a"], Some("other/x")), &has, &["test:a"], Err(UNAUTHORIZED)).await;
    try_out_get(temporary(&["test:*"], None), Ok(())).await;
    try_out_get(temporary(&["test:*"], Some("test:me")), Ok(())).await;

    let limited = temporary(&["test:*"], None).with_authorized_scopes(["test:a"]);
    try_out(limited.clone(), &has, &["test:a"], Ok(())).await;
    try_out(limited, &has, &["test:b"], Err(FORBIDDEN)).await;
    let too_much = temporary(&["test:a"], None).with_authorized_scopes(["test:b"]);
    try_out(too_much, &has, &["test:b"], Err(UNAUTHORIZED)).await;

    let expired = tester().temporary(&["test:a"], now - hours(2), now - hours(1), None).unwrap();
    try_out(expired, &has, &["test:a"], Err(UNAUTHORIZED)).await;
    let later = tester().temporary(&["test:a"], now + hours(1), now + hours(2), None).unwrap();
    try_out(later, &has, &["test:a"], Err(UNAUTHORIZED)).await;
    let mut forged = temporary(&["test:a"], None);
    forged.access_token = "forged".into();
    try_out(forged, &has, &["test:a"], Err(UNAUTHORIZED)).await;
}

#[tokio::test]
async fn the_answer_says_who_and_with_what() {
    let auth = Deployment::start().await;
    let request = TestAuthenticateRequest::new(["test:*"], ["test:a"]);
    let answer = auth.by(tester()).test_authenticate(&request).await.unwrap();
    assert_eq!(answer.client_id, "tester");
    assert_eq!(answer.scopes, ["assume:anonymous", "test:*"]);
    let now = auth.now();
    let named = tester().temporary(&["test:authenticate-get", "test:b"], now, now + hours(1), Some("test:me")).unwrap();
    let answer = auth.by(named).test_authenticate_get().await.unwrap();
    assert_eq!(answer.client_id, "test:me");
    assert_eq!(answer.scopes, ["assume:anonymous", "test:authenticate-get", "test:b"]);
}

#[tokio::test]
async fn without_credentials_there_is_nobody_to_try() {
    let auth = Deployment::start().await;
    assert_outcome(auth.by_nobody().test_authenticate_get().await, Err(FORBIDDEN));
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let auth = Deployment::start().await;
    let client = auth.by(tester());
    client.test_authenticate_get().await.unwrap();
    let url = client.test_authenticate_get().signed_for(minutes(10)).unwrap();
    assert!(url.query().is_some_and(|query| query.contains("bewit=")), "{url}");
    assert_eq!(auth.get(&url).await, 200);
    auth.advance(minutes(10));
    assert_eq!(auth.get(&url).await, 401);
    let other = url.as_str().replace("test-authenticate-get/", "scopes/current");
    assert_eq!(auth.get(&other.parse().unwrap()).await, 401);
}
