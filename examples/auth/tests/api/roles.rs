//! Roles: made, seen, changed, listed, removed.

use taskcluster::auth::CreateRoleRequest;
use taskcluster_core::time::hours;

use crate::deployment::{Deployment, assert_refused, owned, role};

#[tokio::test]
async fn a_role_is_seen_with_what_it_is_worth() {
    let auth = Deployment::start().await;
    auth.role("b", &["from-b"]).await;
    let made = auth.role("thing-id:x/y*", &["c", "assume:b", "a:<..>"]).await;
    assert_eq!(made.role_id, "thing-id:x/y*");
    assert_eq!(made.scopes, ["a:<..>", "assume:b", "c"], "stored sorted");
    assert_eq!(made.expanded_scopes, ["a:*", "assume:b", "assume:thing-id:x/y*", "c", "from-b"]);
    assert_eq!((made.created, made.last_modified), (auth.now(), auth.now()));
    assert_eq!(auth.by_root().role("thing-id:x/y*").await.unwrap(), made);
    assert_refused!(auth.by_root().role("absent"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn creating_the_same_again_gives_what_is_there() {
    let auth = Deployment::start().await;
    let first = auth.role("r", &["a", "b"]).await;
    auth.advance(hours(48));
    assert_eq!(auth.role("r", &["b", "a"]).await, first);
    assert_refused!(auth.by_root().create_role("r", &role(&["a"])), 409, "RequestConflict");
    let described = CreateRoleRequest::new("another description", owned(&["a", "b"]));
    assert_refused!(auth.by_root().create_role("r", &described), 409, "RequestConflict");
}

#[tokio::test]
async fn nobody_gives_a_role_what_they_do_not_have() {
    let auth = Deployment::start().await;
    let admin = auth.client("admin", &["auth:create-role:mine:*", "auth:update-role:mine:*", "a:*"]).await;
    let admin = auth.by(admin);
    assert!(admin.create_role("mine:1", &role(&["a:1"])).await.is_ok());
    assert_refused!(admin.create_role("mine:2", &role(&["b"])), 403, "InsufficientScopes");
    assert_refused!(admin.create_role("other:1", &role(&["a:1"])), 403, "InsufficientScopes");
    assert_refused!(admin.delete_role("mine:1"), 403, "InsufficientScopes");
    assert_refused!(admin.update_role("mine:absent", &role(&["z"])), 404, "ResourceNotFound");
}

#[tokio::test]
async fn an_update_needs_the_scopes_that_are_new() {
    let auth = Deployment::start().await;
    auth.role("base", &["from-base:*"]).await;
    auth.role("r", &["assume:base", "b", "c"]).await;
    let admin = auth.client("admin", &["auth:update-role:r", "a:*"]).await;
    let admin = auth.by(admin);
    auth.advance(hours(1));
    let changed = admin.update_role("r", &role(&["b", "a:1"])).await.unwrap();
    assert_eq!(changed.scopes, ["a:1", "b"]);
    assert_eq!((changed.created, changed.last_modified), (auth.now() - hours(1), auth.now()));
    assert_refused!(admin.update_role("r", &role(&["b", "c"])), 403, "InsufficientScopes");

    // What the role was worth by others may be written down in it.
    auth.by_root().update_role("r", &role(&["assume:base"])).await.unwrap();
    assert!(admin.update_role("r", &role(&["from-base:x"])).await.is_ok());
}

#[tokio::test]
async fn what_a_parameter_could_become_may_not_be_added_for_free() {
    let auth = Deployment::start().await;
    auth.role("p:*", &["x:<..>"]).await;
    let admin = auth.client("admin", &["auth:update-role:p:*"]).await;
    assert_refused!(auth.by(admin).update_role("p:*", &role(&["x:<..>", "x:secret"])), 403, "InsufficientScopes");
}

#[tokio::test]
async fn scopes_that_make_no_sense_are_refused() {
    let auth = Deployment::start().await;
    for scope in ["a**", "a:<..>:<..>", "a:*<..>"] {
        assert_refused!(auth.by_root().create_role("r:*", &role(&[scope])), 400, "InputError");
    }
    auth.role("r:*", &[]).await;
    assert_refused!(auth.by_root().update_role("r:*", &role(&["a**"])), 400, "InputError");
}

#[tokio::test]
async fn a_cycle_is_refused_and_named() {
    let auth = Deployment::start().await;
    auth.role("a", &["assume:b"]).await;
    auth.role("b", &["assume:c"]).await;
    let error = auth.by_root().create_role("c", &role(&["assume:a"])).await.unwrap_err();
    assert!(error.to_string().contains("a -> b -> c"), "{error}");
    assert_refused!(auth.by_root().create_role("c", &role(&["assume:a"])), 400, "InputError");
    assert_refused!(auth.by_root().create_role("self*", &role(&["assume:self-x"])), 400, "InputError");
    auth.role("c", &["d"]).await;
    assert_refused!(auth.by_root().update_role("c", &role(&["assume:a*"])), 400, "InputError");
    assert_eq!(auth.expand(&["assume:a"]).await, ["assume:a", "assume:b", "assume:c", "d"], "nothing has changed");
}

#[tokio::test]
async fn roles_that_double_each_other_are_refused_when_they_get_too_large() {
    let links: Vec<usize> = (0..25).collect();
    let backwards: Vec<usize> = links.iter().rev().copied().collect();
    for order in [links, backwards] {
        let auth = Deployment::start().await;
        let admin = auth.client("admin", &["auth:create-role:x*", "auth:delete-role:x*", "assume:x*"]).await;
        let admin = auth.by(admin);
        let mut refused = None;
        for link in order {
            let scopes = ["a", "b"].map(|end| format!("assume:x{:02}:<..>{end}", link + 1));
            let wanted = role(&scopes.each_ref().map(String::as_str));
            match admin.create_role(&format!("x{link:02}:*"), &wanted).await {
                Ok(_) => {}
                Err(error) => {
                    refused = Some((link, error));
                    break;
                }
            }
        }
        let (link, error) = refused.expect("not all 25 are let through");
        assert!(error.to_string().contains("would expand to too much"), "{error}");
        assert_eq!(crate::deployment::refused::<()>(Err(error)), (400, "InputError".to_owned()));
        assert!(
            admin.create_role(&format!("x{link:02}:*"), &role(&["assume:x"])).await.is_ok(),
            "a smaller one is fine"
        );
    }
}

#[tokio::test]
async fn a_deleted_role_grants_nothing_and_deleting_it_again_is_fine() {
    let auth = Deployment::start().await;
    auth.role("r", &["x"]).await;
    assert_eq!(auth.expand(&["assume:r"]).await, ["assume:r", "x"]);
    auth.by_root().delete_role("r").await.unwrap();
    auth.by_root().delete_role("r").await.unwrap();
    assert_eq!(auth.expand(&["assume:r"]).await, ["assume:r"]);
    assert_refused!(auth.by_root().role("r"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn roles_are_listed_whole_and_in_pages() {
    let auth = Deployment::start().await;
    for id in ["c", "a", "d", "B", "e"] {
        auth.role(id, &["x"]).await;
    }
    let sorted = ["B", "a", "c", "d", "e"];
    let ids = |roles: &[taskcluster::auth::Role]| roles.iter().map(|role| role.role_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&auth.by_root().list_roles().await.unwrap()), sorted);
    let all = auth.by_root().list_roles2().await.unwrap();
    assert_eq!((ids(&all.roles), all.continuation_token), (owned(&sorted), None));
    assert_eq!(auth.by_root().list_role_ids().await.unwrap().role_ids, sorted);

    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let request = auth.by_root().list_role_ids().limit(2);
        let page = match token {
            Some(token) => request.continuation_token(token).await.unwrap(),
            None => request.await.unwrap(),
        };
        assert!(page.role_ids.len() <= 2);
        seen.extend(page.role_ids);
        token = page.continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, sorted);
    let page = auth.by_root().list_roles2().limit(4).await.unwrap();
    assert_eq!(page.roles.len(), 4);
    assert!(page.continuation_token.is_some());
    assert_refused!(auth.by_root().list_role_ids().limit(2).continuation_token("!!"), 400, "InputError");
    assert_refused!(auth.by_nobody().list_roles(), 403, "InsufficientScopes");
}

#[tokio::test]
async fn many_who_create_the_same_role_all_succeed() {
    let auth = Deployment::start().await;
    let all = (0..4).map(|_| auth.role("r", &["x"]));
    let made = futures_util::future::join_all(all).await;
    assert!(made.iter().all(|role| *role == made[0]));
}

#[tokio::test]
async fn of_two_roles_that_would_close_a_cycle_together_one_is_refused() {
    let auth = Deployment::start().await;
    let root = auth.by_root();
    let (for_a, for_b) = (role(&["assume:b"]), role(&["assume:a"]));
    let (a, b) = tokio::join!(root.create_role("a", &for_a), root.create_role("b", &for_b));
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn many_who_change_different_roles_do_not_disturb_each_other() {
    let auth = Deployment::start().await;
    let root = auth.by_root();
    let all = (0..32).map(async |number| {
        let id = format!("r{number}");
        root.create_role(&id, &role(&["x"])).await.unwrap();
        root.update_role(&id, &role(&["y"])).await.unwrap();
    });
    futures_util::future::join_all(all).await;
    let roles = root.list_roles().await.unwrap();
    assert_eq!(roles.len(), 32);
    assert!(roles.iter().all(|role| role.scopes == ["y"]));
}
