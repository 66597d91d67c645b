//! Follows what other processes change in the same store.

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
    loop {
        super::report("follow", step(backend).await);
        if !super::pause(backend, stop, EVERY).await {
            return;
        }
    }
}
