#![doc = include_str!("../README.md")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use taskcluster::auth::CreateClientRequest;
use taskcluster::events::MemoryBus;
use taskcluster::time::days;
use taskcluster::{Credentials, ManualClock, SharedClock, Taskcluster, Timestamp};
use taskcluster_index::IndexService;
use taskcluster_object::ObjectService;
use taskcluster_provisioner::ProvisionerService;
use taskcluster_purge_cache::PurgeCacheService;
use taskcluster_queue::QueueService;
use taskcluster_scheduler::SchedulerService;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod builder;

pub use builder::Builder;

/// The client that may do everything.
const ROOT: &str = "static/taskcluster/root";
/// Tokens of tests are no secrets.
const ROOT_TOKEN: &str = "rootrootrootrootrootrootrootrootrootrootroot";

/// The first half of the task queues whose workers a fake's provisioner starts.
pub const PROVISIONER_ID: &str = "fake-provisioner";

/// A deployment in this process: auth, queue, index, object, purge-cache, scheduler and provisioner service behind a listener on loopback. It ends when this is
/// dropped, and everything that it kept is gone; [`stop`](Self::stop) waits for the end.
#[derive(Debug)]
pub struct Fake {
    root_url: String,
    clock: SharedClock,
    /// The same clock, unless it is the system's.
    manual: Option<ManualClock>,
    bus: MemoryBus,
    queue: Arc<QueueService>,
    index: Arc<IndexService>,
    object: Arc<ObjectService>,
    purge_cache: Arc<PurgeCacheService>,
    scheduler: Arc<SchedulerService>,
    provisioner: Arc<ProvisionerService>,
    shutdown: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
    // The last to go.
    _folder: TempDir,
}

impl Fake {
    /// Starts one, whose clock stands at the present time.
    ///
    /// # Errors
    /// If there is no port or no temporary folder to be had.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// Begins to build one that differs.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where it is.
    #[must_use]
    pub fn root_url(&self) -> &str {
        &self.root_url
    }

    /// Credentials that may do everything.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(ROOT, ROOT_TOKEN)
    }

    /// A handle that may do everything, on the fake's clock.
    ///
    /// # Panics
    /// Never: the root URL is one.
    #[must_use]
    pub fn handle(&self) -> Taskcluster {
        let builder = Taskcluster::builder(self.root_url()).credentials(self.credentials());
        builder.clock(self.shared_clock()).build().expect("the fake's own root URL is one")
    }

    /// Makes a client with these scopes and gives its credentials; `Taskcluster::builder` makes a handle of them.
    ///
    /// # Errors
    /// If auth refuses the name or a scope.
    pub async fn client<S: Into<String>>(
        &self,
        client_id: &str,
        scopes: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Credentials> {
        let expires = self.clock.now() + days(365);
        let client = CreateClientRequest::new("A client of a test.", expires)
            .with_scopes(scopes.into_iter().map(Into::into).collect::<Vec<String>>());
        let made = self.handle().auth().create_client(client_id, &client).await.context("cannot make the client")?;
        Ok(Credentials::new(client_id, made.access_token))
    }

    /// The clock that everything in it goes by. Moving it by itself does not wait for what becomes due;
    /// [`advance`](Self::advance) does.
    ///
    /// # Panics
    /// If it was built on the system's clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        self.manual.as_ref().expect("this fake is on the system's clock, which nobody moves")
    }

    /// The fake's present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock, for whoever goes by one.
    #[must_use]
    pub fn shared_clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// Moves the clock on. When this returns, claims and deadlines that ended by then have ended, and what has expired is
    /// gone; the provisioner has made a pass.
    ///
    /// # Errors
    /// If the database does not obey.
    ///
    /// # Panics
    /// As [`clock`](Self::clock).
    pub async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        self.clock().advance(by);
        self.queue.catch_up().await?;
        self.index.catch_up().await?;
        self.object.catch_up().await?;
        self.purge_cache.catch_up().await?;
        self.scheduler.catch_up().await?;
        Ok(self.provisioner.catch_up().await?)
    }

    /// Where its services publish their messages.
    #[must_use]
    pub fn bus(&self) -> &MemoryBus {
        &self.bus
    }

    /// The queue itself, for what no API shows.
    #[must_use]
    pub fn queue(&self) -> &QueueService {
        &self.queue
    }

    /// The index itself, for what no API shows.
    #[must_use]
    pub fn index(&self) -> &IndexService {
        &self.index
    }

    /// The scheduler itself, for what no API shows.
    #[must_use]
    pub fn scheduler(&self) -> &SchedulerService {
        &self.scheduler
    }

    /// The provisioner itself, for what no API shows.
    #[must_use]
    pub fn provisioner(&self) -> &ProvisionerService {
        &self.provisioner
    }

    /// Ends it and waits for the end.
    ///
    /// # Errors
    /// If a service failed before.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        (&mut self.running).await.context("a service has panicked")??;
        Ok(())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
