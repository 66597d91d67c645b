//! Judging requests for other services, and methods that let the author of a client try it out.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster::auth as wire;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_server::{AuthOutcome, AuthRequest, Authenticator, Call, Failure};

use super::Answer;
use crate::backend::Backend;
use crate::client::Client;
use crate::verifier::{self, Directory};

pub(super) async fn hawk(
    backend: &Backend,
    payload: wire::AuthenticateHawkRequest,
) -> Answer<wire::AuthenticateHawkResponse> {
    let request = AuthRequest {
        method: payload.method.to_string(),
        resource: payload.resource,
        host: payload.host,
        port: payload.port as u16,
        authorization: payload.authorization,
        source_ip: payload.source_ip.map(|ip| ip.to_string()),
        trace_id: None,
    };
    Ok(match backend.local().authenticate(&request).await {
        AuthOutcome::Success { client_id, scopes, expires, hash } => {
            let mut success = wire::AuthenticationSuccessful::new(client_id, scopes, expires);
            success.hash = hash.map(Into::into);
            wire::AuthenticateHawkResponse::AuthSuccess(success)
        }
        AuthOutcome::Failed { message } => {
            wire::AuthenticateHawkResponse::AuthFailed(wire::AuthenticationFailed::new(message))
        }
        AuthOutcome::None { scopes, expires } => {
            wire::AuthenticateHawkResponse::NoAuth(wire::AuthenticationAbsent::new(scopes, expires))
        }
        AuthOutcome::Unavailable { reason } => return Err(Failure::internal(reason)),
    }
    .into())
}

/// Tries out any method: the client has the scopes that the request says, and needs those that it says.
pub(super) async fn test(
    call: &Call,
    payload: wire::TestAuthenticateRequest,
) -> Answer<wire::TestAuthenticateResponse> {
    tried(call, payload.client_scopes, &payload.required_scopes).await
}

/// Tries out a GET, above all a signed URL.
pub(super) async fn test_get(call: &Call) -> Answer<wire::TestAuthenticateResponse> {
    let has = ["test:*", "auth:create-client:test:*"].map(str::to_owned).to_vec();
    tried(call, has, &["test:authenticate-get".to_owned()]).await
}

async fn tried(call: &Call, has: Vec<String>, needs: &[String]) -> Answer<wire::TestAuthenticateResponse> {
    let call = call.judged_by(Arc::new(Tester::new(has, call.now())));
    call.authorize_scopes(needs).await?;
    let scopes = call.scopes().await?.as_slice().to_vec();
    Ok(wire::TestAuthenticateResponse::new(call.client_id().await?, scopes).into())
}

/// Knows one client and no roles.
struct Tester {
    client: Arc<Client>,
    now: Timestamp,
}

impl Tester {
    fn new(scopes: Vec<String>, now: Timestamp) -> Self {
        let client = Client {
            client_id: "tester".to_owned(),
            access_token: "no-secret".into(),
            description: String::new(),
            scopes,
            expires: now + hours(1),
            disabled: false,
            delete_on_expiration: false,
            created: now,
            last_modified: now,
            last_date_used: now,
            last_rotated: now,
            version: 1,
        };
        Self { client: Arc::new(client), now }
    }
}

impl Directory for Tester {
    fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        (client_id == self.client.client_id).then(|| Arc::clone(&self.client))
    }

    fn expand(&self, scopes: &[String]) -> Arc<ScopeSet> {
        Arc::new(scopes.iter().cloned().collect())
    }

    fn used(&self, _: &str, _: Timestamp) {}
}

#[async_trait]
impl Authenticator for Tester {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        verifier::verify(self, request, self.now)
    }
}
