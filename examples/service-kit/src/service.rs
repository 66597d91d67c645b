//! Running a service: a listener, a router, loops in the background, and an orderly end.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use taskcluster_server::{SchemaError, ServiceRouter};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod connections;
mod unread;

/// How long the head of a request may be at least: credentials of a task carry all its scopes there. A longer one is
/// answered with 431, at the latest when it is twice as long.
pub const MAX_HEAD: usize = 512 * 1024;

/// How long requests may go on after a shutdown was asked for; longer than the long poll of a claim.
const GRACE: Duration = Duration::from_secs(25);

/// A part of a deployment that can be run alone or beside others in one process.
pub trait Service: Send + 'static {
    /// Its name, such as `queue`.
    fn name(&self) -> &'static str;

    /// The routes of its API, to be served alone or beside those of other services.
    ///
    /// # Errors
    /// When the references that are built in do not hold together.
    fn service_router(&self) -> Result<ServiceRouter, SchemaError>;

    /// What it answers where it is alone.
    ///
    /// # Panics
    /// When the references that are built in do not hold together.
    fn router(&self) -> Router {
        let router = self.service_router().expect("the schemas that are built in are tested to hold together");
        taskcluster_server::site([router])
    }

    /// What it does by itself.
    fn background(&self) -> Vec<Background> {
        Vec::new()
    }
}

/// A loop that runs beside the requests, until the token that it gets is cancelled.
pub struct Background {
    name: String,
    run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

impl Background {
    /// A loop with a name for the log.
    pub fn new<F>(name: impl Into<String>, run: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name: name.into(), run: Box::new(move |shutdown| Box::pin(run(shutdown))) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Background({})", self.name)
    }
}

/// Answers requests and runs loops until `shutdown`; then lets requests finish, and after them the loops.
///
/// Requests see the caller's address. A loop that panics or returns before the shutdown ends everything: a service that
/// answers but no longer does its work in the background is worse than one that is restarted.
///
/// # Errors
/// When a loop ended by itself.
pub async fn run(
    listener: TcpListener,
    router: Router,
    background: Vec<Background>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let loops = Loops::start(background, &shutdown);
    let serving = connections::serve(listener, router, connections::PATIENCE, &shutdown);
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = serving => {}
        () = too_long => tracing::warn!("some requests did not end in time and are cut off"),
    }
    shutdown.cancel();
    loops.stop().await
}

/// The loops of a service, without a listener: for services that share one.
#[derive(Debug)]
pub struct Loops {
    tracker: TaskTracker,
    stop: CancellationToken,
    broken: Arc<AtomicBool>,
}

impl Loops {
    /// Starts them. One that ends by itself cancels `shutdown`.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(background: Vec<Background>, shutdown: &CancellationToken) -> Self {
        // Not a child of `shutdown`: loops go on while the last requests are answered.
        let loops = Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), broken: Arc::default() };
        for Background { name, run } in background {
            let (stop, shutdown, broken) = (loops.stop.clone(), shutdown.clone(), Arc::clone(&loops.broken));
            loops.tracker.spawn(async move {
                let ended = AssertUnwindSafe(run(stop.clone())).catch_unwind().await;
                if stop.is_cancelled() && ended.is_ok() {
                    return;
                }
                let how = if ended.is_err() { "panicked" } else { "ended" };
                tracing::error!(background = name, "a background loop {how}; the service stops");
                broken.store(true, Ordering::Relaxed);
                shutdown.cancel();
            });
        }
        loops
    }

    /// Tells them to end and waits for it.
    ///
    /// # Errors
    /// When one had ended before.
    pub async fn stop(self) -> io::Result<()> {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("a background loop ended by itself"));
        }
        Ok(())
    }
}

/// A listener at an address such as `127.0.0.1:8080`, with an error that says which.
///
/// # Errors
/// When the address is taken or is none.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}")))
}
