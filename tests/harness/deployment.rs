//! A deployment in this process, on either database.

use std::time::Duration;

use service_kit::blobs::Buckets;
use taskcluster::events::{Binding, Bus, MemoryBus, Subscription};
use taskcluster::{Caller, Credentials, ManualClock, RetryPolicy};
use taskcluster_fake::Fake;
use taskcluster_provisioner::ProvisionerService;
use taskcluster_provisioner::provider::Providers;
use tempfile::TempDir;

use crate::{Backend, Tester};

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
    /// How long a claim lasts unless it is renewed, in place of twenty minutes.
    pub claim_timeout: Option<Duration>,
    /// Where artifacts are kept, in place of a folder.
    pub buckets: Option<Buckets>,
    /// Where the provisioner's workers come from.
    pub providers: Providers,
}

impl Options {
    /// On the system's clock; `claimWork` answers at once.
    pub fn on(backend: Backend) -> Self {
        let (claim_wait, providers) = (Duration::ZERO, Providers::new());
        Self { backend, clock: None, claim_wait, claim_timeout: None, buckets: None, providers }
    }

    /// On a clock that the test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With artifacts in this storage.
    #[must_use]
    pub fn with_buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = Some(buckets);
        self
    }

    /// With workers from these providers.
    #[must_use]
    pub fn with_providers(mut self, providers: Providers) -> Self {
        self.providers = providers;
        self
    }

    /// With a `claimWork` that waits this long.
    #[must_use]
    pub fn with_claim_wait(mut self, wait: Duration) -> Self {
        self.claim_wait = wait;
        self
    }

    /// With claims that last this long.
    #[must_use]
    pub fn with_claim_timeout(mut self, timeout: Duration) -> Self {
        self.claim_timeout = Some(timeout);
        self
    }
}

/// Auth, queue, index, object, purge-cache, scheduler and provisioner service behind a listener on loopback. They end when this is dropped;
/// [`stop`](Self::stop) waits for the end.
#[derive(Debug)]
pub struct Deployment {
    fake: Fake,
    // The last to go.
    _databases: TempDir,
}

impl Deployment {
    /// Starts one.
    ///
    /// # Errors
    /// If a service does not start.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { backend, clock, claim_wait, claim_timeout, buckets, providers } = options;
        let databases = tempfile::tempdir()?;
        let builder = Fake::builder()
            .claim_wait(claim_wait)
            .auth_database(backend.database(&databases, "auth").await.parse()?)
            .queue_database(backend.database(&databases, "queue").await.parse()?)
            .index_database(backend.database(&databases, "index").await.parse()?)
            .object_database(backend.database(&databases, "object").await.parse()?)
            .purge_cache_database(backend.database(&databases, "purge-cache").await.parse()?)
            .scheduler_database(backend.database(&databases, "scheduler").await.parse()?)
            .provisioner_database(backend.database(&databases, "provisioner").await.parse()?)
            .providers(providers);
        let builder = match claim_timeout {
            Some(timeout) => builder.claim_timeout(timeout),
            None => builder,
        };
        let builder = match buckets {
            Some(buckets) => builder.buckets(buckets),
            None => builder,
        };
        let builder = match clock {
            Some(clock) => builder.clock(clock),
            None => builder.system_clock(),
        };
        Ok(Self { fake: builder.start().await?, _databases: databases })
    }

    /// Where it is.
    pub fn root_url(&self) -> &str {
        self.fake.root_url()
    }

    /// Somebody who may do everything.
    pub fn root(&self) -> Tester {
        self.with(self.fake.credentials())
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
        let caller = Caller::builder(self.root_url())
            .credentials(credentials)
            .clock(self.fake.shared_clock())
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
        self.bus().subscribe(vec![Binding::everything(exchange)]).await.expect("the bus is open")
    }

    /// The bus that its services publish to.
    pub fn bus(&self) -> &MemoryBus {
        self.fake.bus()
    }

    /// Moves the clock, which must be the test's. When this returns, what was due by then is done, and the provisioner has made a pass.
    ///
    /// # Panics
    /// If a database does not obey.
    pub async fn advance(&self, by: Duration) {
        crate::soon(self.fake.advance(by)).await.expect("what is due can be done");
    }

    /// The provisioner itself.
    pub fn provisioner(&self) -> &ProvisionerService {
        self.fake.provisioner()
    }

    /// Stops the services, and waits until they have stopped.
    ///
    /// # Panics
    /// If one of them failed before.
    pub async fn stop(self) {
        crate::soon(self.fake.stop()).await.expect("the services end in order");
    }
}
