//! The server as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;
use service_kit::service::Background;
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::secret::Secret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clients::Clients;
use crate::token::Verifier;
use crate::{register, viewer};

/// What a server is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What tokens may be signed with.
    pub secrets: Vec<Secret>,
    /// Where clients and viewers find it.
    pub public_url: Url,
    /// The audience that tokens must be for, where they name one.
    pub audience: Option<String>,
    /// Clients at once. Default 10,000.
    pub max_clients: usize,
    /// Where the time comes from.
    pub clock: SharedClock,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl Options {
    /// With these secrets, at this URL, on the system's clock.
    pub fn new(secrets: impl IntoIterator<Item = Secret>, public_url: Url) -> Self {
        Self {
            secrets: secrets.into_iter().collect(),
            public_url,
            audience: None,
            max_clients: 10_000,
            clock: SystemClock::shared(),
            shutdown: CancellationToken::new(),
        }
    }

    /// For tokens of this audience.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// With so many clients at once.
    #[must_use]
    pub fn with_max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients;
        self
    }

    /// On another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// With the token that ends the process: tunnels, and what goes through them, then end at once.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }
}

/// A tunnel server, ready to run.
#[derive(Clone, Debug)]
pub struct TunnelService {
    pub(crate) shared: Arc<Shared>,
}

/// What all requests see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) clients: Clients,
    /// Without a slash at the end.
    pub(crate) public_url: String,
    pub(crate) clock: SharedClock,
    pub(crate) shutdown: CancellationToken,
    /// Connections that outlive the requests that they began as.
    pub(crate) connections: TaskTracker,
}

impl TunnelService {
    /// With these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { secrets, public_url, audience, max_clients, clock, shutdown } = options;
        let shared = Shared {
            verifier: Verifier::new(secrets, audience),
            clients: Clients::new(max_clients),
            public_url: public_url.as_str().trim_end_matches('/').to_owned(),
            clock,
            shutdown,
            connections: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What it answers below `mount`: nothing, where it is alone, or a path such as `/tunnel`.
    pub fn router(&self, mount: &'static str) -> Router {
        let answer = {
            let shared = self.shared.clone();
            move |request: Request| answer(shared, mount, request)
        };
        let router = Router::new().route(&format!("{mount}/"), any(answer.clone()));
        let router = if mount.is_empty() { router } else { router.route(mount, any(answer.clone())) };
        router
            .route(&format!("{mount}/__heartbeat__"), any(|| async {}))
            .route(&format!("{mount}/__lbheartbeat__"), any(|| async {}))
            .route(&format!("{mount}/{{*rest}}"), any(answer))
    }

    /// What it does by itself: it waits, in the end, for tunnels to be closed.
    #[must_use]
    pub fn background(&self) -> Vec<Background> {
        let shared = self.shared.clone();
        vec![Background::new("tunnel: connections", move |stop| async move {
            stop.cancelled().await;
            shared.shutdown.cancel();
            shared.connections.close();
            shared.connections.wait().await;
        })]
    }
}

async fn answer(shared: Arc<Shared>, mount: &'static str, mut request: Request) -> Response {
    let path = request.uri().path();
    let below = path.strip_prefix(mount).unwrap_or(path).trim_start_matches('/');
    if below.is_empty() {
        return register::register(&shared, &mut request);
    }
    let (id, rest) = below.split_once('/').unwrap_or((below, ""));
    let target = match request.uri().query() {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    match shared.clients.find(id) {
        Some(client) => viewer::pass(&shared, &client, &target, request).await,
        None => (StatusCode::NOT_FOUND, "no client of that name is connected\n").into_response(),
    }
}
