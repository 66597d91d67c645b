//! Asks the auth service.

use std::fmt;

use async_trait::async_trait;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use taskcluster::auth::operations::AUTHENTICATE_HAWK;
use taskcluster_core::time::Timestamp;
use taskcluster_core::{Caller, Error, chain};

use super::{AuthOutcome, AuthRequest, Authenticator};

/// Asks the auth service of a deployment about every request: always right, at the price of one hop.
#[derive(Clone)]
pub struct Remote {
    caller: Caller,
}

impl Remote {
    /// Asks the deployment that `caller` calls. It needs no credentials.
    pub fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Who asks, for the sake of the request of this trace.
    fn part_of(&self, trace_id: Option<&str>) -> Result<Caller, Error> {
        match trace_id {
            Some(trace_id) => self.caller.to_builder().trace_id(trace_id).build(),
            None => Ok(self.caller.clone()),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for Remote {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        let question = Question {
            method: &request.method,
            resource: &request.resource,
            host: &request.host,
            port: request.port,
            authorization: request.authorization.as_deref(),
            source_ip: request.source_ip.as_deref(),
        };
        let unavailable = |error: &dyn std::error::Error| AuthOutcome::Unavailable { reason: chain(error).to_string() };
        let body = match serde_json::to_vec(&question) {
            Ok(body) => body.into(),
            Err(error) => return unavailable(&error),
        };
        let path = AUTHENTICATE_HAWK.route.to_owned();
        let caller = match self.part_of(request.trace_id.as_deref()) {
            Ok(caller) => caller,
            Err(error) => return unavailable(&error),
        };
        let answer = match caller.call(&AUTHENTICATE_HAWK, path, String::new(), Some(body)).await {
            Ok(answer) => answer,
            // What was asked about is no request that anybody could sign, such as one to a host that has no name.
            Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) => {
                return AuthOutcome::Failed { message: "a request to such a host cannot be authenticated".to_owned() };
            }
            Err(error) => return unavailable(&error),
        };
        match serde_json::from_slice(&answer) {
            Ok(Answer::Success { client_id, scopes, expires, hash }) => {
                AuthOutcome::Success { client_id, scopes, expires, hash }
            }
            Ok(Answer::Failed { message }) => AuthOutcome::Failed { message },
            Ok(Answer::NoAuth { scopes, expires }) => AuthOutcome::None { scopes, expires },
            Err(error) => unavailable(&error),
        }
    }
}

// Borrowed and with only what is needed: this is on the path of every request, so the generated types are not used.

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'r> {
    method: &'r str,
    resource: &'r str,
    host: &'r str,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<&'r str>,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all_fields = "camelCase")]
enum Answer {
    #[serde(rename = "auth-success")]
    Success { client_id: String, scopes: Vec<String>, expires: Timestamp, hash: Option<String> },
    #[serde(rename = "auth-failed")]
    Failed { message: String },
    #[serde(rename = "no-auth")]
    NoAuth { scopes: Vec<String>, expires: Timestamp },
}
