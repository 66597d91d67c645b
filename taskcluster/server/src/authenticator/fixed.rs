//! An authenticator that believes everybody: for tests and for services behind their own door.

use std::time::Duration;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;

use super::{AuthOutcome, AuthRequest, Authenticator};

/// Gives every caller that presents anything the same name and scopes, and nothing to those who present nothing.
#[derive(Clone, Debug)]
pub struct Fixed {
    client_id: String,
    scopes: Vec<String>,
    anonymous: Vec<String>,
    expires: Timestamp,
}

impl Fixed {
    /// Everybody who signs is `client_id` and holds `scopes`; nobody's signature is looked at.
    pub fn new<S: Into<String>>(client_id: impl Into<String>, scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            client_id: client_id.into(),
            scopes: scopes.into_iter().map(Into::into).collect(),
            anonymous: Vec::new(),
            expires: Timestamp::from_millis(0) + Duration::from_secs(60 * 60 * 24 * 365 * 200),
        }
    }

    /// The same, and those who do not sign hold `scopes`.
    #[must_use]
    pub fn with_anonymous<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.anonymous = scopes.into_iter().map(Into::into).collect();
        self
    }
}

#[async_trait]
impl Authenticator for Fixed {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        let signed = request.authorization.is_some() || request.resource.contains("bewit=");
        if signed {
            AuthOutcome::Success {
                client_id: self.client_id.clone(),
                scopes: self.scopes.clone(),
                expires: self.expires,
                hash: None,
            }
        } else {
            AuthOutcome::None { scopes: self.anonymous.clone(), expires: self.expires }
        }
    }
}
