//! Roles.

use service_kit::pages;
use taskcluster::auth as wire;
use taskcluster_core::scopes::Params;
use taskcluster_server::auth::{ListRoleIdsQuery, ListRoles2Query};
use taskcluster_server::{Call, Reply};

use super::Answer;
use crate::backend::{ATTEMPTS, Backend};
use crate::error::AuthError;
use crate::expand::ASSUME;
use crate::role::Role;

pub(super) async fn list(backend: &Backend) -> Answer<Vec<wire::Role>> {
    let roles = backend.roles().await?.roles;
    Ok(roles.iter().map(|role| view(backend, role)).collect::<Vec<_>>().into())
}

pub(super) async fn list_pages(backend: &Backend, query: ListRoles2Query) -> Answer<wire::ListRoles2Response> {
    let (rest, limit) = rest(backend, query.limit, query.continuation_token.as_deref()).await?;
    let views: Vec<wire::Role> = rest.iter().map(|role| view(backend, role)).collect();
    let page = pages::cut_within(views, limit, bytes, |role| role.role_id.clone());
    let mut response = wire::ListRoles2Response::new(page.rows);
    response.continuation_token = page.continuation_token;
    Ok(response.into())
}

pub(super) async fn list_ids(backend: &Backend, query: ListRoleIdsQuery) -> Answer<wire::ListRoleIdsResponse> {
    let (rest, limit) = rest(backend, query.limit, query.continuation_token.as_deref()).await?;
    let ids: Vec<String> = rest.into_iter().map(|role| role.role_id).collect();
    let page = pages::cut_within(ids, limit, String::len, String::clone);
    let mut response = wire::ListRoleIdsResponse::new(page.rows);
    response.continuation_token = page.continuation_token;
    Ok(response.into())
}

/// The roles after a token, one more than a page holds. Without a limit all that are left: whoever does not ask for pages
/// does not expect any, and gets them only where the roles are very large.
async fn rest(backend: &Backend, limit: Option<u32>, token: Option<&str>) -> Result<(Vec<Role>, usize), AuthError> {
    let after: Option<String> = pages::after(token)?;
    let limit = limit.map_or(usize::MAX - 1, |limit| limit as usize);
    let roles = backend.roles().await?.roles.into_iter();
    let rest = roles.skip_while(|role| after.as_ref().is_some_and(|after| role.role_id <= *after));
    Ok((rest.take(limit + 1).collect(), limit))
}

pub(super) async fn get(backend: &Backend, role_id: &str) -> Answer<wire::Role> {
    let roles = backend.roles().await?;
    let role = roles.get(role_id).ok_or_else(|| AuthError::NoSuchRole(role_id.to_owned()))?;
    Ok(view(backend, role).into())
}

pub(super) async fn create(
    backend: &Backend,
    call: &Call,
    role_id: &str,
    payload: wire::CreateRoleRequest,
) -> Answer<wire::Role> {
    call.authorize(Params::new().list("scopes", payload.scopes.iter().cloned())).await?;
    let by = call.client_id().await?;
    let role = backend.create_role(role_id, &payload.description, &payload.scopes, by).await?;
    Ok(view(backend, &role).into())
}

pub(super) async fn update(
    backend: &Backend,
    call: &Call,
    role_id: &str,
    payload: wire::CreateRoleRequest,
) -> Answer<wire::Role> {
    let _turn = backend.turn_to_change_roles().await;
    for _ in 0..ATTEMPTS {
        let roles = backend.roles().await?;
        let before = roles.get(role_id).ok_or_else(|| AuthError::NoSuchRole(role_id.to_owned()))?;
        let held = backend.expand(&before.scopes);
        let added = payload.scopes.iter().filter(|scope| !held.satisfies(scope)).cloned();
        call.authorize(Params::new().list("scopesAdded", added)).await?;
        let by = call.client_id().await?;
        let written = backend.update_role(&roles, role_id, &payload.description, &payload.scopes, by).await?;
        if let Some(role) = written {
            return Ok(view(backend, &role).into());
        }
    }
    Err(AuthError::Contention.into())
}

pub(super) async fn delete(backend: &Backend, call: &Call, role_id: &str) -> Answer<()> {
    backend.delete_role(role_id, call.client_id().await?).await?;
    Ok(Reply::from(()))
}

fn bytes(role: &wire::Role) -> usize {
    role.description.len() + role.scopes.iter().chain(&role.expanded_scopes).map(String::len).sum::<usize>()
}

fn view(backend: &Backend, role: &Role) -> wire::Role {
    let expanded = backend.expand(&[format!("{ASSUME}{}", role.role_id)]);
    wire::Role::new(
        role.role_id.clone(),
        role.description.clone(),
        role.scopes.clone(),
        expanded.as_slice().to_vec(),
        role.created,
        role.last_modified,
    )
}
