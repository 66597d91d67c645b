//! Clients of the configuration.

use taskcluster_auth::{StaticClient, static_clients};
use taskcluster_core::Credentials;

use crate::deployment::{Deployment, ROOT, ROOT_TOKEN, assert_refused};

const TOKEN: &str = "token-of-a-static-client-01";

fn mine(scopes: &[&str]) -> StaticClient {
    StaticClient {
        client_id: "static/mine".to_owned(),
        access_token: TOKEN.into(),
        scopes: Some(scopes.iter().map(ToString::to_string).collect()),
        description: "Mine.".to_owned(),
    }
}

async fn sync(auth: &Deployment, clients: &[StaticClient]) {
    let root = StaticClient::root(ROOT_TOKEN);
    static_clients::sync(&auth.backend, &[&[root], clients].concat()).await.unwrap();
}

#[tokio::test]
async fn they_are_there_after_the_start() {
    let auth = Deployment::start().await;
    sync(&auth, &[mine(&["auth:current-scopes"])]).await;
    let client = auth.look_at("static/mine").await;
    assert_eq!(client.scopes, ["auth:current-scopes"]);
    assert!(client.description.starts_with("Mine.\n"), "{}", client.description);
    assert!(client.description.contains("defined by the configuration"));
    assert!(auth.by(Credentials::new("static/mine", TOKEN)).current_scopes().await.is_ok());
    assert_eq!(auth.look_at(ROOT).await.scopes, ["*"]);
}

#[tokio::test]
async fn a_start_without_a_change_changes_nothing() {
    let auth = Deployment::start().await;
    sync(&auth, &[mine(&["x"])]).await;
    sync(&auth, &[mine(&["x"])]).await;
    let history = auth.by_root().get_entity_history("client", "static/mine").await.unwrap();
    assert_eq!(history.audit_history.len(), 1);
}

#[tokio::test]
async fn they_follow_the_configuration() {
    let auth = Deployment::start().await;
    sync(&auth, &[mine(&["x"])]).await;
    let other = StaticClient { access_token: "another-token-of-the-client".into(), ..mine(&["auth:current-scopes"]) };
    sync(&auth, &[other]).await;
    assert_refused!(auth.by(Credentials::new("static/mine", TOKEN)).current_scopes(), 401, "AuthenticationFailed");
    let again = Credentials::new("static/mine", "another-token-of-the-client");
    assert!(auth.by(again.clone()).current_scopes().await.is_ok());
    auth.client("not/static", &[]).await;
    sync(&auth, &[]).await;
    assert_refused!(auth.by(again).current_scopes(), 401, "AuthenticationFailed");
    assert_refused!(auth.by_root().client("static/mine"), 404, "ResourceNotFound");
    assert!(auth.by_root().client("not/static").await.is_ok());
}

#[tokio::test]
async fn the_api_does_not_touch_them() {
    let auth = Deployment::start().await;
    sync(&auth, &[mine(&[])]).await;
    let root = auth.by_root();
    let wanted = auth.wanted(&[]);
    assert_refused!(root.create_client("static/another", &wanted), 400, "InputError");
    assert_refused!(root.update_client("static/mine", &wanted), 400, "InputError");
    assert_refused!(root.disable_client("static/mine"), 400, "InputError");
    assert_refused!(root.enable_client("static/mine"), 400, "InputError");
    assert_refused!(root.reset_access_token("static/mine"), 400, "InputError");
    assert_refused!(root.delete_client("static/mine"), 400, "InputError");
    assert!(root.client("static/mine").await.is_ok());
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing() {
    let auth = Deployment::start().await;
    sync(&auth, &[mine(&["x"])]).await;
    let wrong = StaticClient { client_id: "not/static".to_owned(), ..mine(&[]) };
    assert!(static_clients::sync(&auth.backend, &[mine(&["y"]), wrong]).await.is_err());
    assert_eq!(auth.look_at("static/mine").await.scopes, ["x"]);
}
