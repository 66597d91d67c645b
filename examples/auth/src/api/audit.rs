//! The audit trail.

use service_kit::pages;
use taskcluster::auth as wire;
use taskcluster_server::Failure;
use taskcluster_server::auth::{GetEntityHistoryQuery, ListAuditHistoryQuery};

use super::{Answer, PAGE};
use crate::backend::Backend;
use crate::error::AuthError;
use crate::history::{Entry, Of};

/// Of what there may be a trail. Ours are clients and roles; the others belong to services that keep none with us.
const ENTITY_TYPES: [&str; 5] = ["client", "role", "secret", "hook", "worker-pool"];

pub(super) async fn of_entity(
    backend: &Backend,
    entity_type: String,
    entity_id: String,
    query: GetEntityHistoryQuery,
) -> Answer<wire::AuditHistoryResponse> {
    if !ENTITY_TYPES.contains(&entity_type.as_str()) {
        let expected = ENTITY_TYPES.join(", ");
        return Err(Failure::invalid_arguments(format!("entityType '{entity_type}' is none of {expected}")));
    }
    page(backend, &Of::Entity { entity_type, entity_id }, query.limit, query.continuation_token.as_deref()).await
}

pub(super) async fn by_client(
    backend: &Backend,
    client_id: String,
    query: ListAuditHistoryQuery,
) -> Answer<wire::AuditHistoryResponse> {
    page(backend, &Of::Client(client_id), query.limit, query.continuation_token.as_deref()).await
}

async fn page(
    backend: &Backend,
    of: &Of,
    limit: Option<u32>,
    token: Option<&str>,
) -> Answer<wire::AuditHistoryResponse> {
    let limit = limit.unwrap_or(PAGE) as usize;
    let after = pages::after(token)?.unwrap_or(0);
    let found = backend.store().history(of, after, limit + 1).await.map_err(AuthError::from)?;
    let page = pages::cut(found, limit, |entry| entry.position);
    let mut response = wire::AuditHistoryResponse::new(page.rows.into_iter().map(view).collect::<Vec<_>>());
    response.continuation_token = page.continuation_token;
    Ok(response.into())
}

fn view(entry: Entry) -> wire::AuditHistoryEntry {
    wire::AuditHistoryEntry::new(entry.client_id, entry.entity_type, entry.entity_id, entry.action_type, entry.created)
}
