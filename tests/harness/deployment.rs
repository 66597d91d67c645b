//! A deployment in this process.

use std::sync::Arc;
use std::time::Duration;

use service_kit::blobs::LocalBlobs;
use service_kit::service::{self, Service};
use service_kit::store::Database;
use taskcluster::events::{Binding, Bus, MemoryBus, Subscription};
use taskcluster::{Caller, Credentials, ManualClock, RetryPolicy, SharedClock, SystemClock};
use taskcluster_auth::{AuthService, Sealer, StaticClient};
use taskcluster_queue::QueueService;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Backend, Tester};

const ROOT: &str = "static/taskcluster/root";
const QUEUE: &str = "static/taskcluster/queue";
/// Tokens of tests are no secrets.
const ROOT_TOKEN: &str = "rootrootrootrootrootrootrootrootrootrootroot";
const QUEUE_TOKEN: &str = "queuequeuequeuequeuequeuequeuequeuequeuequeu";

/// How a deployment is put together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Its database.
    pub backend: Backend,
    /// A clock that the test moves, in place of the system's.
    pub clock: Option<ManualClock>,
    /// How long `claimWork` waits for work.
    pub claim_wait: Duration,
}

impl Options {
    /// On the system's clock; `claimWork` answers at once.
    pub fn on(backend: Backend) -> Self {
        Self { backend, clock: None, claim_wait: Duration::ZERO }
    }

    /// On a clock that the test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With a `claimWork` that waits this long.
    #[must_use]
    pub fn with_claim_wait(mut self, wait: Duration) -> Self {
        self.claim_wait = wait;
        self
    }
}

/// Auth and queue behind a listener on loopback. They end when this is dropped; [`stop`](Self::stop) waits for the end.
#[derive(Debug)]
pub struct Deployment {
    root_url: String,
    clock: SharedClock,
    bus: MemoryBus,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    // The last to go.
    _folder: TempDir,
}

impl Deployment {
    /// Starts one.
    ///
    /// # Errors
    /// If a service does not start.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let root_url = format!("http://{}", listener.local_addr()?);
        let clock = options.clock.as_ref().map_or_else(SystemClock::shared, ManualClock::shared);
        let bus = MemoryBus::new();
        let shared_bus: Arc<dyn Bus> = Arc::new(bus.clone());

        let database: Database = options.backend.database(&folder, "auth").await.parse()?;
        let clients = [static_client(ROOT, ROOT_TOKEN), static_client(QUEUE, QUEUE_TOKEN)];
        let auth = taskcluster_auth::Options::new(&root_url, database, Sealer::ephemeral()?, shared_bus.clone())
            .with_static_clients(clients)
            .with_clock(clock.clone());
        let auth = AuthService::open(auth).await?;

        let blobs_url = Url::parse(&root_url)?.join("/blobs")?;
        let blobs = LocalBlobs::open(&folder.path().join("blobs"), blobs_url, b"a key for tests", clock.clone())?;
        let database: Database = options.backend.database(&folder, "queue").await.parse()?;
        let settings = taskcluster_queue::Settings { claim_wait: options.claim_wait, ..Default::default() };
        let credentials = Credentials::new(QUEUE, QUEUE_TOKEN);
        let queue = taskcluster_queue::Options::new(
            &root_url,
            database,
            Arc::new(blobs.clone()),
            shared_bus,
            auth.local(),
            credentials,
        )
        .with_settings(settings)
        .with_clock(clock.clone());
        let queue = QueueService::open(queue).await?;

        let router = taskcluster_server::site([auth.service_router()?, queue.service_router()?]).merge(blobs.router());
        let background = auth.background().into_iter().chain(queue.background()).collect();
        let shutdown = CancellationToken::new();
        let running = service::run(listener, router, background, shutdown.clone());
        let running = tokio::spawn(async move { running.await.expect("the services run until they are stopped") });
        Ok(Self { root_url, clock, bus, shutdown, running, _folder: folder })
    }

    /// Where it is.
    pub fn root_url(&self) -> &str {
        &self.root_url
    }

    /// Somebody who may do everything.
    pub fn root(&self) -> Tester {
        self.with(Credentials::new(ROOT, ROOT_TOKEN))
    }

    /// Somebody without credentials.
    pub fn anonymous(&self) -> Tester {
        self.with(None)
    }

    /// Somebody with these credentials.
    ///
    /// # Panics
    /// If they cannot be used to sign.
    pub fn with(&self, credentials: impl Into<Option<Credentials>>) -> Tester {
        let caller = Caller::builder(self.root_url.as_str())
            .credentials(credentials)
            .clock(self.clock.clone())
            .retry(RetryPolicy::never())
            .build()
            .expect("the harness knows how to sign");
        Tester::new(caller)
    }

    /// Listens to an exchange.
    ///
    /// # Panics
    /// If the bus is closed.
    pub async fn listen(&self, exchange: &str) -> Subscription {
        self.bus.subscribe(vec![Binding::everything(exchange)]).await.expect("the bus is open")
    }

    /// The bus that its services publish to.
    pub fn bus(&self) -> &MemoryBus {
        &self.bus
    }

    /// Stops the services, and waits until they have stopped.
    ///
    /// # Panics
    /// If one of them failed before.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        crate::soon(&mut self.running).await.expect("the services end in order");
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn static_client(id: &str, token: &str) -> StaticClient {
    StaticClient { client_id: id.to_owned(), access_token: token.into(), scopes: None, description: String::new() }
}
