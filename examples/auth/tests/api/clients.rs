//! Clients: made, seen, changed, listed, removed.

use taskcluster::auth::{CreateClientRequest, CreateRoleRequest};
use taskcluster_auth::loops;
use taskcluster_core::time::{days, hours, minutes};

use crate::deployment::{Deployment, assert_refused, credentials, owned};

#[tokio::test]
async fn a_new_client_comes_with_its_token_and_is_seen_without_it() {
    let auth = Deployment::start().await;
    auth.role("r", &["from-role"]).await;
    let made = auth.by_root().create_client("a/b|c", &auth.wanted(&["assume:r", "b"])).await.unwrap();
    assert_eq!(made.access_token.expose().len(), 44);
    assert_eq!(made.scopes, ["assume:r", "b"]);
    assert_eq!(made.expanded_scopes, ["assume:r", "b", "from-role"]);
    assert_eq!((made.created, made.last_modified, made.last_rotated), (auth.now(), auth.now(), auth.now()));
    assert!(!made.disabled && !made.delete_on_expiration);

    let raw = auth.by_root().client("a/b|c").raw().await.unwrap();
    assert!(!String::from_utf8_lossy(&raw).contains(made.access_token.expose()));
    let seen = auth.look_at("a/b|c").await;
    assert_eq!(seen.description, "made by a test");
    assert_eq!(seen.expires, auth.now() + hours(24));
    assert_refused!(auth.by_root().client("absent"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn creating_the_same_again_gives_the_same_token_for_a_while() {
    let auth = Deployment::start().await;
    let wanted = auth.wanted(&["a", "b"]);
    let first = auth.by_root().create_client("c", &wanted).await.unwrap();
    auth.advance(minutes(14));
    let same = wanted.clone().with_scopes(owned(&["b", "a"]));
    let again = auth.by_root().create_client("c", &same).await.unwrap();
    assert_eq!(again.access_token, first.access_token);
    assert_refused!(auth.by_root().create_client("c", &auth.wanted(&["a", "b"])), 409, "RequestConflict");
    assert_refused!(
        auth.by_root().create_client("c", &wanted.clone().with_scopes(owned(&["a"]))),
        409,
        "RequestConflict"
    );
    auth.advance(minutes(1));
    assert_refused!(auth.by_root().create_client("c", &wanted), 409, "RequestConflict");
}

#[tokio::test]
async fn nobody_gives_a_client_what_they_do_not_have() {
    let auth = Deployment::start().await;
    let admin = auth.client("admin", &["auth:create-client:mine/*", "auth:update-client:mine/*", "a:*"]).await;
    let admin = auth.by(admin);
    assert!(admin.create_client("mine/1", &auth.wanted(&["a:1"])).await.is_ok());
    assert_refused!(admin.create_client("mine/2", &auth.wanted(&["b"])), 403, "InsufficientScopes");
    assert_refused!(admin.create_client("other/1", &auth.wanted(&["a:1"])), 403, "InsufficientScopes");
    assert_refused!(auth.by_nobody().create_client("mine/3", &auth.wanted(&[])), 403, "InsufficientScopes");

    // What is there already needs no scope; taking away needs none either.
    auth.client("mine/4", &["b", "c"]).await;
    assert!(admin.update_client("mine/4", &auth.wanted(&["b", "a:2"])).await.is_ok());
    assert_refused!(admin.update_client("mine/4", &auth.wanted(&["b", "c"])), 403, "InsufficientScopes");
    assert_refused!(admin.update_client("mine/absent", &auth.wanted(&["z"])), 404, "ResourceNotFound");
}

#[tokio::test]
async fn an_update_without_scopes_leaves_them() {
    let auth = Deployment::start().await;
    auth.client("c", &["a", "b"]).await;
    auth.advance(hours(1));
    let change = CreateClientRequest::new("changed", auth.now() + hours(2)).with_delete_on_expiration(true);
    let changed = auth.by_root().update_client("c", &change).await.unwrap();
    assert_eq!(changed.scopes, ["a", "b"]);
    assert_eq!(changed.description, "changed");
    assert_eq!(changed.last_modified, auth.now());
    assert_eq!(changed.created, auth.now() - hours(1));
    assert!(changed.delete_on_expiration);
    assert_eq!(auth.look_at("c").await, changed);
    let again = CreateClientRequest::new("changed", auth.now() + hours(2)).with_scopes(owned(&[]));
    let changed = auth.by_root().update_client("c", &again).await.unwrap();
    assert!(!changed.delete_on_expiration, "left out means false");
    assert!(changed.scopes.is_empty());
}

#[tokio::test]
async fn two_stars_are_refused() {
    let auth = Deployment::start().await;
    auth.client("c", &[]).await;
    assert_refused!(auth.by_root().create_client("d", &auth.wanted(&["a**"])), 400, "InputError");
    assert_refused!(auth.by_root().update_client("c", &auth.wanted(&["a**"])), 400, "InputError");
}

#[tokio::test]
async fn ids_have_few_characters() {
    let auth = Deployment::start().await;
    assert_refused!(auth.by_root().create_client("with space", &auth.wanted(&[])), 400, "InvalidRequestArguments");
    assert!(auth.by_root().create_client("A-z_0!@/:.+|", &auth.wanted(&[])).await.is_ok());
}

#[tokio::test]
async fn a_reset_ends_the_old_token() {
    let auth = Deployment::start().await;
    let old = auth.client("c", &["auth:current-scopes"]).await;
    assert!(auth.by(old.clone()).current_scopes().await.is_ok());
    auth.advance(hours(1));
    let reset = auth.by_root().reset_access_token("c").await.unwrap();
    assert_eq!(reset.last_rotated, auth.now());
    assert_refused!(auth.by(old).current_scopes(), 401, "AuthenticationFailed");
    assert!(auth.by(credentials(&reset)).current_scopes().await.is_ok());
    assert_refused!(auth.by_root().reset_access_token("absent"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn a_disabled_client_is_refused_until_it_is_enabled() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["auth:current-scopes"]).await;
    for _ in 0..2 {
        assert!(auth.by_root().disable_client("c").await.unwrap().disabled);
        assert_refused!(auth.by(client.clone()).current_scopes(), 401, "AuthenticationFailed");
    }
    for _ in 0..2 {
        assert!(!auth.by_root().enable_client("c").await.unwrap().disabled);
        assert!(auth.by(client.clone()).current_scopes().await.is_ok());
    }
    assert_refused!(auth.by_root().disable_client("absent"), 404, "ResourceNotFound");
    assert_refused!(auth.by_root().enable_client("absent"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn a_deleted_client_is_gone_and_deleting_it_again_is_fine() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["auth:current-scopes"]).await;
    auth.by_root().delete_client("c").await.unwrap();
    auth.by_root().delete_client("c").await.unwrap();
    assert_refused!(auth.by(client).current_scopes(), 401, "AuthenticationFailed");
    assert_refused!(auth.by_root().client("c"), 404, "ResourceNotFound");
    let again = auth.client("c", &["auth:current-scopes"]).await;
    assert!(auth.by(again).current_scopes().await.is_ok());
}

#[tokio::test]
async fn an_expired_client_is_refused_and_purged_if_it_wants() {
    let auth = Deployment::start().await;
    let stays = auth.client("stays", &["auth:current-scopes"]).await;
    let goes = auth.wanted(&[]).with_delete_on_expiration(true);
    auth.by_root().create_client("goes", &goes).await.unwrap();
    auth.advance(hours(24) + minutes(1));
    assert_refused!(auth.by(stays).current_scopes(), 401, "AuthenticationFailed");
    assert!(auth.by_root().client("goes").await.is_ok(), "until the next purge");
    let purged = loops::purge::step(&auth.backend).await.unwrap();
    assert_eq!((purged.clients, purged.entries), (1, 0));
    assert_refused!(auth.by_root().client("goes"), 404, "ResourceNotFound");
    assert!(auth.by_root().client("stays").await.is_ok());
    auth.advance(days(31));
    assert!(loops::purge::step(&auth.backend).await.unwrap().entries > 0);
}

#[tokio::test]
async fn clients_are_listed_by_prefix_page_by_page() {
    let auth = Deployment::start().await;
    for id in ["b/2", "a/1", "b/1", "b", "b/3"] {
        auth.client(id, &["x"]).await;
    }
    let all = auth.by_root().list_clients().await.unwrap();
    let ids: Vec<&str> = all.clients.iter().map(|client| client.client_id.as_str()).collect();
    assert_eq!(ids, ["a/1", "b", "b/1", "b/2", "b/3", "static/taskcluster/root"]);
    assert_eq!(all.continuation_token, None);

    let first = auth.by_root().list_clients().prefix("b/").limit(2).await.unwrap();
    assert_eq!(first.clients.len(), 2);
    let token = first.continuation_token.unwrap();
    // A client that is gone meanwhile hides nobody.
    auth.by_root().delete_client("b/1").await.unwrap();
    let rest = auth.by_root().list_clients().prefix("b/").limit(2).continuation_token(token).await.unwrap();
    assert_eq!(rest.clients[0].client_id, "b/3");
    assert_eq!(rest.continuation_token, None);
    assert_refused!(auth.by_root().list_clients().continuation_token("made up"), 400, "InputError");
    assert_refused!(auth.by_nobody().list_clients(), 403, "InsufficientScopes");
}

#[tokio::test]
async fn a_use_is_noted_every_six_hours() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["auth:current-scopes"]).await;
    let made = auth.now();
    let use_and_note = async || {
        auth.by(client.clone()).current_scopes().await.unwrap();
        loops::note_uses::step(&auth.backend).await.unwrap();
        auth.look_at("c").await.last_date_used
    };
    auth.advance(hours(5));
    assert_eq!(use_and_note().await, made);
    auth.advance(hours(1));
    assert_eq!(use_and_note().await, made + hours(6));
    auth.advance(hours(5));
    assert_eq!(use_and_note().await, made + hours(6));
    auth.advance(hours(2));
    assert_eq!(use_and_note().await, made + hours(13));
}

#[tokio::test]
async fn reading_needs_scopes() {
    let auth = Deployment::start().await;
    let reader = auth.client("reader", &["auth:get-client:a/*", "auth:list-clients"]).await;
    auth.client("a/1", &[]).await;
    let reader = auth.by(reader);
    assert!(reader.client("a/1").await.is_ok());
    assert!(reader.list_clients().await.is_ok());
    assert_refused!(reader.client("reader"), 403, "InsufficientScopes");
    assert_refused!(reader.disable_client("a/1"), 403, "InsufficientScopes");
    assert_refused!(reader.enable_client("a/1"), 403, "InsufficientScopes");
    assert_refused!(reader.delete_client("a/1"), 403, "InsufficientScopes");
    assert_refused!(reader.reset_access_token("a/1"), 403, "InsufficientScopes");
}

#[tokio::test]
async fn what_cannot_be_stored_everywhere_is_refused() {
    let auth = Deployment::start().await;
    auth.client("c", &[]).await;
    let wanted = CreateClientRequest::new("a\0b", auth.now() + hours(1));
    assert_refused!(auth.by_root().create_client("d", &wanted), 400, "InputError");
    assert_refused!(auth.by_root().update_client("c", &wanted), 400, "InputError");
    auth.role("r", &[]).await;
    let wanted = CreateRoleRequest::new("a\0b", owned(&[]));
    assert_refused!(auth.by_root().create_role("s", &wanted), 400, "InputError");
    assert_refused!(auth.by_root().update_role("r", &wanted), 400, "InputError");
    let nul = auth.by_root().list_clients().prefix("\0");
    assert_refused!(nul, 400, "InvalidRequestArguments");
    assert_refused!(auth.by_root().get_entity_history("secret", "a\0b"), 400, "InvalidRequestArguments");
}
