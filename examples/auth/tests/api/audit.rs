//! The audit trail: what happened to something, and what somebody did.

use taskcluster::auth::AuditHistoryEntry;
use taskcluster_core::time::{hours, minutes};

use crate::deployment::{Deployment, ROOT, assert_refused, role};

fn actions(history: &[AuditHistoryEntry]) -> Vec<&str> {
    history.iter().map(|entry| entry.action_type.as_str()).collect()
}

#[tokio::test]
async fn everything_that_happens_to_a_client_is_written_down() {
    let auth = Deployment::start().await;
    let root = auth.by_root();
    auth.client("c", &[]).await;
    auth.advance(minutes(1));
    root.update_client("c", &auth.wanted(&["x"])).await.unwrap();
    root.disable_client("c").await.unwrap();
    root.enable_client("c").await.unwrap();
    root.reset_access_token("c").await.unwrap();
    root.delete_client("c").await.unwrap();
    root.delete_client("c").await.unwrap();
    let history = root.get_entity_history("client", "c").await.unwrap().audit_history;
    assert_eq!(
        actions(&history),
        ["created", "updated", "client disabled", "client enabled", "access token reset", "deleted"]
    );
    assert!(
        history.iter().all(|entry| entry.client_id == ROOT && entry.entity_type == "client" && entry.entity_id == "c")
    );
    assert_eq!(history[0].created + minutes(1), history[1].created);
}

#[tokio::test]
async fn everything_that_somebody_does_is_written_down() {
    let auth = Deployment::start().await;
    let admin = auth.client("admin", &["auth:*"]).await;
    let now = auth.now();
    let named = admin.temporary(&["auth:*"], now, now + hours(1), None).unwrap();
    auth.by(admin).create_role("r", &role(&[])).await.unwrap();
    auth.by(named).update_role("r", &role(&["auth:x"])).await.unwrap();
    auth.by_root().delete_role("r").await.unwrap();
    let by_admin = auth.by_root().list_audit_history("admin").await.unwrap().audit_history;
    assert_eq!(actions(&by_admin), ["created", "updated"]);
    assert!(by_admin.iter().all(|entry| entry.entity_type == "role" && entry.entity_id == "r"));
    let of_role = auth.by_root().get_entity_history("role", "r").await.unwrap().audit_history;
    assert_eq!(actions(&of_role), ["created", "updated", "deleted"]);
}

#[tokio::test]
async fn a_failed_or_repeated_request_leaves_nothing() {
    let auth = Deployment::start().await;
    let wanted = auth.wanted(&["x"]);
    auth.by_root().create_client("c", &wanted).await.unwrap();
    auth.by_root().create_client("c", &wanted).await.unwrap();
    assert_refused!(auth.by_root().create_client("c", &auth.wanted(&["y"])), 409, "RequestConflict");
    auth.role("r", &[]).await;
    auth.role("r", &[]).await;
    let root = auth.by_root();
    assert_eq!(actions(&root.get_entity_history("client", "c").await.unwrap().audit_history), ["created"]);
    assert_eq!(actions(&root.get_entity_history("role", "r").await.unwrap().audit_history), ["created"]);
}

#[tokio::test]
async fn a_long_history_comes_in_pages() {
    let auth = Deployment::start().await;
    auth.client("c", &[]).await;
    for _ in 0..4 {
        auth.by_root().disable_client("c").await.unwrap();
    }
    let first = auth.by_root().get_entity_history("client", "c").limit(3).await.unwrap();
    assert_eq!(first.audit_history.len(), 3);
    let token = first.continuation_token.unwrap();
    let rest = auth.by_root().get_entity_history("client", "c").limit(3).continuation_token(token).await.unwrap();
    assert_eq!(actions(&rest.audit_history), ["client disabled", "client disabled"]);
    assert_eq!(rest.continuation_token, None);
}

#[tokio::test]
async fn histories_need_scopes_and_known_kinds() {
    let auth = Deployment::start().await;
    let reader = auth.client("reader", &["auth:audit-history:role", "auth:client-audit-history:c"]).await;
    let reader = auth.by(reader);
    assert!(reader.get_entity_history("role", "r").await.unwrap().audit_history.is_empty());
    assert!(reader.list_audit_history("c").await.is_ok());
    assert_refused!(reader.get_entity_history("client", "c"), 403, "InsufficientScopes");
    assert_refused!(reader.list_audit_history("d"), 403, "InsufficientScopes");
    for kind in ["secret", "hook", "worker-pool"] {
        assert!(auth.by_root().get_entity_history(kind, "x").await.unwrap().audit_history.is_empty());
    }
    assert_refused!(auth.by_root().get_entity_history("task", "x"), 400, "InvalidRequestArguments");
}
