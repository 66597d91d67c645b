//! Removes what nobody needs any more: expired clients that asked for it, and old entries of the audit trail.

use std::time::Duration;

use taskcluster_core::time::hours;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::history::KEPT;
use crate::store::StoreError;

const EVERY: Duration = hours(24);

/// Clients that one transaction removes.
const AT_ONCE: usize = 100;

/// Who stands in the audit trail for it.
const BY: &str = "taskcluster-auth/purge-expired-clients";

/// What a step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Expired clients.
    pub clients: usize,
    /// Entries of the audit trail.
    pub entries: u64,
}

/// Removes everything that is to be removed now.
///
/// # Errors
/// When the store fails; what was removed before stays removed.
pub async fn step(backend: &Backend) -> Result<Purged, StoreError> {
    let now = backend.clock().now();
    let mut clients = 0;
    loop {
        let removed = backend.store().purge_expired_clients(now, BY, AT_ONCE).await?.len();
        clients += removed;
        if removed < AT_ONCE {
            break;
        }
    }
    // Before the old entries go: they may tell of changes that were not read yet.
    backend.refresh().await?;
    let entries = backend.store().purge_history(now - KEPT).await?;
    Ok(Purged { clients, entries })
}

pub(super) async fn run(backend: &Backend, stop: &CancellationToken) {
    loop {
        let purged = super::report("purge", step(backend).await).unwrap_or_default();
        if purged != Purged::default() {
            let Purged { clients, entries } = purged;
            tracing::info!(clients, entries, "removed expired clients and old audit entries");
        }
        if !super::pause(backend, stop, EVERY).await {
            return;
        }
    }
}
