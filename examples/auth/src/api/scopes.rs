//! What scopes are worth.

use taskcluster::auth as wire;
use taskcluster_server::Call;

use super::Answer;
use crate::backend::Backend;

pub(super) fn expand(backend: &Backend, payload: &wire::ScopeSet) -> Answer<wire::ScopeSet> {
    Ok(wire::ScopeSet::new(backend.expand(&payload.scopes).as_slice().to_vec()).into())
}

/// What the caller has for this request: limited by a certificate and `authorizedScopes`, with everybody's scopes.
pub(super) async fn current(call: &Call) -> Answer<wire::ScopeSet> {
    Ok(wire::ScopeSet::new(call.scopes().await?.as_slice().to_vec()).into())
}
