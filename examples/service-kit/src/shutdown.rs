//! The end of a process, as its operator asks for it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second one ends the process at once.
///
/// For `main` only: a library does not handle signals.
///
/// # Errors
/// When the signals cannot be handled.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn on_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let asked = token.clone();
    // It watches until the process ends, so nobody waits for it.
    TaskTracker::new().spawn(async move {
        loop {
            let code = tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            };
            if asked.is_cancelled() {
                tracing::warn!("asked a second time to end: ending at once");
                #[allow(clippy::exit, reason = "the operator insists")]
                std::process::exit(code);
            }
            tracing::info!("asked to end: finishing what has begun");
            asked.cancel();
        }
    });
    Ok(token)
}
