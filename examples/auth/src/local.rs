//! Judging requests without asking anybody: for services in the process that keeps the clients and roles.

use async_trait::async_trait;
use taskcluster_server::{AuthOutcome, AuthRequest, Authenticator};

use crate::backend::Backend;
use crate::verifier;

/// An authenticator over the snapshot of a [`Backend`].
#[derive(Clone, Debug)]
pub(crate) struct Local {
    backend: Backend,
}

impl Local {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    fn judge(&self, request: &AuthRequest) -> AuthOutcome {
        verifier::verify(self.backend.snapshot(), request, self.backend.clock().now())
    }
}

#[async_trait]
impl Authenticator for Local {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        let outcome = self.judge(request);
        // Another process may just have made the client or given it another token; it must not have to wait for us.
        if matches!(outcome, AuthOutcome::Failed { .. }) && self.backend.store().is_shared() {
            return match self.backend.refresh().await {
                Ok(()) => self.judge(request),
                Err(error) => AuthOutcome::Unavailable { reason: error.to_string() },
            };
        }
        outcome
    }
}
