//! How a worker is told to go away.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells a worker to go away: at once, or when its runs have ended. Cheap to clone; all clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Shutdown {
    /// A switch that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch that the signals of this process use, as service managers and people expect it: SIGTERM gives the present runs back
    /// at once, SIGINT (Ctrl-C) lets them end, and a second one gives them back.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn by_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = Self::new();
        let shutdown = told.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => shutdown.now(),
                    _ = interrupt.recv() => if shutdown.drain.is_cancelled() { shutdown.now() } else { shutdown.drain() },
                }
            }
        });
        Ok(told)
    }

    /// Claim nothing more; go when the present runs have ended.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Give the present runs back to the queue and go.
    pub fn now(&self) {
        self.now.cancel();
    }

    /// Wait until either is told.
    pub(crate) async fn any(&self) {
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Wait until the present runs are to be given back.
    pub(crate) async fn given_back(&self) {
        self.now.cancelled().await;
    }
}

impl From<CancellationToken> for Shutdown {
    /// Cancelling the token shuts down at once.
    fn from(now: CancellationToken) -> Self {
        Self { drain: CancellationToken::new(), now }
    }
}
