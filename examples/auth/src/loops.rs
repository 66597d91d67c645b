//! What the service does by itself. Each loop is a step that a test can take, repeated; a step that fails is logged and taken again.

use std::sync::Arc;
use std::time::Duration;

use taskcluster::events::Bus;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::store::StoreError;

pub mod follow;
pub mod hear;
pub mod note_uses;
pub mod purge;

/// Waits before the next step. Answers whether there shall be one.
async fn pause(backend: &Backend, stop: &CancellationToken, every: Duration) -> bool {
    tokio::select! {
        () = backend.clock().sleep(every) => true,
        () = stop.cancelled() => false,
    }
}

/// Logs a step that failed; the next one tries again.
fn report<T>(name: &'static str, step: Result<T, StoreError>) -> Option<T> {
    step.inspect_err(|error| {
        let error: &dyn std::error::Error = error;
        tracing::error!(background = name, error, "a step of a background loop failed and will be taken again");
    })
    .ok()
}

/// Runs all loops until told to stop.
pub async fn run(backend: Backend, bus: Arc<dyn Bus>, stop: CancellationToken) {
    tokio::join!(
        follow::run(&backend, &stop),
        hear::run(&backend, &*bus, &stop),
        note_uses::run(&backend, &stop),
        purge::run(&backend, &stop),
    );
}
