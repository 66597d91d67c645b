//! Clients.

use service_kit::pages;
use taskcluster::auth as wire;
use taskcluster_core::scopes::Params;
use taskcluster_server::auth::ListClientsQuery;
use taskcluster_server::{Call, Failure, Reply};

use super::{Answer, PAGE};
use crate::backend::{ATTEMPTS, Backend, Switch, Wanted, refuse_static};
use crate::client::Client;
use crate::error::AuthError;

pub(super) async fn list(backend: &Backend, query: ListClientsQuery) -> Answer<wire::ListClientsResponse> {
    let limit = query.limit.unwrap_or(PAGE) as usize;
    let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
    let prefix = query.prefix.unwrap_or_default();
    let found = backend.store().clients(&prefix, after.as_deref(), limit + 1).await.map_err(AuthError::from)?;
    let views: Vec<wire::Client> = found.iter().map(|client| view(backend, client)).collect();
    let page = pages::cut_within(views, limit, bytes, |client| client.client_id.clone());
    let mut response = wire::ListClientsResponse::new(page.rows);
    response.continuation_token = page.continuation_token;
    Ok(response.into())
}

pub(super) async fn get(backend: &Backend, client_id: &str) -> Answer<wire::Client> {
    Ok(view(backend, &backend.client(client_id).await?).into())
}

pub(super) async fn create(
    backend: &Backend,
    call: &Call,
    client_id: &str,
    payload: wire::CreateClientRequest,
) -> Answer<wire::CreateClientResponse> {
    let wanted = wanted(payload);
    let scopes = wanted.scopes.clone().unwrap_or_default();
    call.authorize(Params::new().list("scopes", scopes)).await?;
    let client = backend.create_client(client_id, wanted, call.client_id().await?).await?;
    Ok(view_with_token(backend, &client).into())
}

pub(super) async fn update(
    backend: &Backend,
    call: &Call,
    client_id: &str,
    payload: wire::CreateClientRequest,
) -> Answer<wire::Client> {
    let wanted = wanted(payload);
    refuse_static(client_id)?;
    for _ in 0..ATTEMPTS {
        let before = backend.client(client_id).await?;
        let added = wanted.scopes.iter().flatten().filter(|scope| !before.scopes.contains(scope)).cloned();
        call.authorize(Params::new().list("scopesAdded", added)).await?;
        if let Some(after) = backend.update_client(&before, wanted.clone(), call.client_id().await?).await? {
            return Ok(view(backend, &after).into());
        }
    }
    Err(AuthError::Contention.into())
}

pub(super) async fn reset(backend: &Backend, call: &Call, client_id: &str) -> Answer<wire::CreateClientResponse> {
    let client = switch(backend, call, client_id, Switch::ResetToken).await?;
    Ok(view_with_token(backend, &client).into())
}

pub(super) async fn enable(backend: &Backend, call: &Call, client_id: &str) -> Answer<wire::Client> {
    Ok(view(backend, &switch(backend, call, client_id, Switch::Enable).await?).into())
}

pub(super) async fn disable(backend: &Backend, call: &Call, client_id: &str) -> Answer<wire::Client> {
    Ok(view(backend, &switch(backend, call, client_id, Switch::Disable).await?).into())
}

async fn switch(backend: &Backend, call: &Call, client_id: &str, switch: Switch) -> Result<Client, Failure> {
    Ok(backend.switch_client(client_id, switch, call.client_id().await?).await?)
}

pub(super) async fn delete(backend: &Backend, call: &Call, client_id: &str) -> Answer<()> {
    backend.delete_client(client_id, call.client_id().await?).await?;
    Ok(Reply::from(()))
}

fn wanted(payload: wire::CreateClientRequest) -> Wanted {
    Wanted {
        description: payload.description,
        expires: payload.expires,
        scopes: payload.scopes,
        delete_on_expiration: payload.delete_on_expiration.unwrap_or_default(),
    }
}

fn bytes(client: &wire::Client) -> usize {
    client.description.len() + client.scopes.iter().chain(&client.expanded_scopes).map(String::len).sum::<usize>()
}

/// A client as everybody may see it.
fn view(backend: &Backend, client: &Client) -> wire::Client {
    wire::Client::new(
        client.client_id.clone(),
        client.description.clone(),
        client.expires,
        client.created,
        client.last_modified,
        client.last_date_used,
        client.last_rotated,
        client.scopes.clone(),
        backend.expand(&client.scopes).as_slice().to_vec(),
        client.disabled,
        client.delete_on_expiration,
    )
}

/// A client as only whoever just made or reset it may see it.
fn view_with_token(backend: &Backend, client: &Client) -> wire::CreateClientResponse {
    wire::CreateClientResponse::new(
        client.client_id.clone(),
        client.access_token.clone(),
        client.description.clone(),
        client.expires,
        client.created,
        client.last_modified,
        client.last_date_used,
        client.last_rotated,
        client.scopes.clone(),
        backend.expand(&client.scopes).as_slice().to_vec(),
        client.disabled,
        client.delete_on_expiration,
    )
}
