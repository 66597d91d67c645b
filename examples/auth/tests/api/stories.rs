//! How people and services use it, from beginning to end.

use taskcluster_core::time::{hours, minutes};

use crate::deployment::{Deployment, assert_refused, credentials, role};

#[tokio::test]
async fn a_sign_in_service_lets_people_in_and_people_make_clients() {
    let auth = Deployment::start().await;
    // Root makes the sign-in service, and what everybody who signs in gets.
    let login = auth
        .client(
            "login",
            &["auth:create-client:user/*", "auth:disable-client:user/*", "assume:user:*", "auth:delete-client:user/*"],
        )
        .await;
    let own = ["auth:create-client:user/<..>/*", "auth:delete-client:user/<..>/*", "auth:update-client:user/<..>/*"];
    auth.role("user:*", &[&own[..], &["auth:current-scopes"]].concat()).await;

    // The service makes temporary credentials for somebody who signed in, without asking anybody.
    let now = auth.now();
    let ann = login.temporary(&["assume:user:ann"], now, now + minutes(15), Some("user/ann")).unwrap();
    let scopes = auth.by(ann.clone()).current_scopes().await.unwrap().scopes;
    assert!(scopes.contains(&"auth:create-client:user/ann/*".to_owned()), "{scopes:?}");

    // She makes a client for her laptop, with what she has and no more.
    let laptop =
        auth.by(ann.clone()).create_client("user/ann/laptop", &auth.wanted(&["assume:user:ann"])).await.unwrap();
    let laptop = credentials(&laptop);
    assert_refused!(
        auth.by(ann.clone()).create_client("user/bob/laptop", &auth.wanted(&[])),
        403,
        "InsufficientScopes"
    );
    assert_refused!(
        auth.by(ann.clone()).create_client("user/ann/all", &auth.wanted(&["*"])),
        403,
        "InsufficientScopes"
    );
    assert!(auth.by(laptop.clone()).current_scopes().await.is_ok());

    // Everybody's role changes; her client follows at once.
    auth.by_root().update_role("user:*", &role(&["auth:current-scopes", "new:<..>"])).await.unwrap();
    let scopes = auth.by(laptop.clone()).current_scopes().await.unwrap().scopes;
    assert!(scopes.contains(&"new:ann".to_owned()), "{scopes:?}");

    // She leaves: her credentials end, the service turns her client off.
    auth.advance(minutes(21));
    assert_refused!(auth.by(ann).current_scopes(), 401, "AuthenticationFailed");
    auth.by(login).disable_client("user/ann/laptop").await.unwrap();
    assert_refused!(auth.by(laptop).current_scopes(), 401, "AuthenticationFailed");
}

#[tokio::test]
async fn an_operator_takes_a_role_away_and_gives_it_back() {
    let auth = Deployment::start().await;
    auth.role("runner", &["auth:current-scopes", "run:*"]).await;
    let runner = auth.client("runner/1", &["assume:runner"]).await;
    assert!(auth.by(runner.clone()).current_scopes().await.is_ok());
    auth.by_root().delete_role("runner").await.unwrap();
    assert_refused!(auth.by(runner.clone()).current_scopes(), 403, "InsufficientScopes");
    auth.role("runner", &["auth:current-scopes"]).await;
    assert!(auth.by(runner).current_scopes().await.is_ok());
}

#[tokio::test]
async fn what_was_issued_ends_with_its_issuer() {
    let auth = Deployment::start().await;
    let issuer = auth.client("issuer", &["auth:current-scopes"]).await;
    let now = auth.now();
    let issued = issuer.temporary(&["auth:current-scopes"], now, now + hours(48), None).unwrap();
    assert!(auth.by(issued.clone()).current_scopes().await.is_ok());
    auth.by_root().disable_client("issuer").await.unwrap();
    assert_refused!(auth.by(issued.clone()).current_scopes(), 401, "AuthenticationFailed");
    auth.by_root().enable_client("issuer").await.unwrap();
    assert!(auth.by(issued.clone()).current_scopes().await.is_ok());
    auth.by_root().update_client("issuer", &auth.wanted(&["x"])).await.unwrap();
    assert_refused!(auth.by(issued.clone()).current_scopes(), 401, "AuthenticationFailed");
    auth.by_root().update_client("issuer", &auth.wanted(&["auth:current-scopes"])).await.unwrap();
    auth.advance(hours(25));
    assert_refused!(auth.by(issued).current_scopes(), 401, "AuthenticationFailed");
}

#[tokio::test]
async fn everybody_has_what_anonymous_has() {
    let auth = Deployment::start().await;
    assert_refused!(auth.by_nobody().current_scopes(), 403, "InsufficientScopes");
    auth.role("anonymous", &["auth:current-scopes", "public:*"]).await;
    let nobody = auth.by_nobody().current_scopes().await.unwrap().scopes;
    assert_eq!(nobody, ["assume:anonymous", "auth:current-scopes", "public:*"]);
    let client = auth.client("c", &["own"]).await;
    let limited = client.clone().with_authorized_scopes(["public:x"]);
    let scopes = auth.by(client).current_scopes().await.unwrap().scopes;
    assert_eq!(scopes, ["assume:anonymous", "auth:current-scopes", "own", "public:*"]);
    let scopes = auth.by(limited).current_scopes().await.unwrap().scopes;
    assert_eq!(scopes, ["assume:anonymous", "auth:current-scopes", "public:*"]);
    let wrong = taskcluster_core::Credentials::new("c", "wrong");
    assert_refused!(auth.by(wrong).current_scopes(), 401, "AuthenticationFailed");
}
