//! Judging requests without asking anybody: for services in the process that keeps the clients and roles.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_core::clock::SharedClock;
use taskcluster_server::{AuthOutcome, AuthRequest, Authenticator};

use crate::snapshot::Snapshot;
use crate::verifier;

/// An authenticator over the snapshot of a [`Backend`](crate::Backend).
#[derive(Clone, Debug)]
pub(crate) struct Local {
    snapshot: Arc<Snapshot>,
    clock: SharedClock,
}

impl Local {
    pub(crate) fn new(snapshot: Arc<Snapshot>, clock: SharedClock) -> Self {
        Self { snapshot, clock }
    }
}

#[async_trait]
impl Authenticator for Local {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        verifier::verify(&*self.snapshot, request, self.clock.now())
    }
}
