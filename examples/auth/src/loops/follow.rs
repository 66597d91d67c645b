//! Follows the store: what other processes change in it, and what this one changed for somebody who did not wait for the
//! answer. Others [tell](super::hear) of their changes where there is a bus that reaches us; this does without.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::store::StoreError;

/// How long a change made by another process may stay unseen.
const EVERY: Duration = Duration::from_secs(2);

/// Reads again what has changed.
///
/// # Errors
/// When the store fails.
pub async fn step(backend: &Backend) -> Result<(), StoreError> {
    backend.refresh().await
}

pub(super) async fn run(backend: &Backend, stop: &CancellationToken) {
    let mut commits = backend.store().commits();
    loop {
        commits.borrow_and_update();
        super::report("follow", step(backend).await);
        tokio::select! {
            () = stop.cancelled() => return,
            () = backend.clock().sleep(EVERY) => {}
            Ok(()) = commits.changed() => {}
        }
    }
}
