//! Writes down when clients were last used.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::store::StoreError;

/// Requests only note their use in memory; this often it is written down. A crash loses no more.
const EVERY: Duration = Duration::from_secs(60);

/// Writes down the uses that have come together.
///
/// # Errors
/// When the store fails; the uses then stay for the next step.
pub async fn step(backend: &Backend) -> Result<(), StoreError> {
    let uses = backend.snapshot().take_uses();
    if uses.is_empty() {
        return Ok(());
    }
    let written = backend.store().note_uses(uses.clone()).await;
    if written.is_err() {
        backend.snapshot().return_uses(uses);
    }
    written
}

pub(super) async fn run(backend: &Backend, stop: &CancellationToken) {
    loop {
        // Once more after the last pause, for the uses of the last minute.
        let more = super::pause(backend, stop, EVERY).await;
        super::report("note_uses", step(backend).await);
        if !more {
            return;
        }
    }
}
