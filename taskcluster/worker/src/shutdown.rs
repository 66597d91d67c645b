//! How a worker is told to go away.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells a worker to go away: at once, or when its runs have ended. Cheap to clone; all clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
    /// Why the present runs are given back.
    why: Arc<OnceLock<String>>,
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
                    _ = terminate.recv() => shutdown.now_because("the worker was told to go (SIGTERM)"),
                    _ = interrupt.recv() => match shutdown.drain.is_cancelled() {
                        true => shutdown.now_because("the worker was interrupted (Ctrl-C)"),
                        false => shutdown.drain(),
                    },
                }
            }
        });
        Ok(told)
    }

    /// A switch that the signals of this process use where nobody else waits for its runs: SIGINT (Ctrl-C) and SIGTERM end them at once.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn at_once_by_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = Self::new();
        let shutdown = told.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => shutdown.now_because("interrupted (SIGTERM)"),
                _ = interrupt.recv() => shutdown.now_because("interrupted (Ctrl-C)"),
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
        self.now_because("the worker goes away");
    }

    /// The same, for a reason that the logs of the present runs tell.
    pub fn now_because(&self, why: impl Into<String>) {
        // The first reason stands.
        let _ = self.why.set(why.into());
        self.now.cancel();
    }

    /// Wait until either is told.
    pub(crate) async fn any(&self) {
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Wait until the present runs are to be given back, and say why.
    pub(crate) async fn given_back(&self) -> &str {
        self.now.cancelled().await;
        self.why.get().map_or("the worker goes away", String::as_str)
    }
}

impl From<CancellationToken> for Shutdown {
    /// Cancelling the token shuts down at once.
    fn from(now: CancellationToken) -> Self {
        Self { drain: CancellationToken::new(), now, why: Arc::default() }
    }
}
