//! How a fake differs from the usual one.

use std::sync::Arc;
use std::time::Duration;

use service_kit::blobs::{Buckets, LocalBlobs};
use service_kit::frame::Frame;
use service_kit::service::{self, Service as _};
use service_kit::store::Database;
use taskcluster::events::MemoryBus;
use taskcluster::queue::Queue;
use taskcluster::{Caller, Credentials, ManualClock, SystemClock, Timestamp, transport};
use taskcluster_auth::{AuthService, Sealer, StaticClient};
use taskcluster_index::IndexService;
use taskcluster_object::ObjectService;
use taskcluster_provisioner::ProvisionerService;
use taskcluster_provisioner::provider::Providers;
use taskcluster_purge_cache::PurgeCacheService;
use taskcluster_queue::{QueueService, Settings};
use taskcluster_scheduler::SchedulerService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Fake, PROVISIONER_ID, ROOT, ROOT_TOKEN};

const QUEUE: &str = "static/taskcluster/queue";
const QUEUE_TOKEN: &str = "queuequeuequeuequeuequeuequeuequeuequeuequeu";

const INDEX: &str = "static/taskcluster/index";
const INDEX_TOKEN: &str = "indexindexindexindexindexindexindexindexinde";

const SCHEDULER: &str = "static/taskcluster/scheduler";
const SCHEDULER_TOKEN: &str = "schedulerschedulerschedulerschedulerschedule";

const PROVISIONER: &str = "static/taskcluster/provisioner";
const PROVISIONER_TOKEN: &str = "provisionerprovisionerprovisionerprovisioner";

/// Builds a [`Fake`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `start`"]
pub struct Builder {
    clock: Option<ManualClock>,
    settings: Settings,
    auth: Database,
    queue: Database,
    index: Database,
    object: Database,
    purge_cache: Database,
    scheduler: Database,
    provisioner: Database,
    providers: Providers,
    buckets: Option<Buckets>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            clock: Some(ManualClock::at(Timestamp::now())),
            settings: Settings { claim_wait: Duration::ZERO, ..Settings::default() },
            auth: Database::Memory,
            queue: Database::Memory,
            index: Database::Memory,
            object: Database::Memory,
            purge_cache: Database::Memory,
            scheduler: Database::Memory,
            provisioner: Database::Memory,
            providers: Providers::new(),
            buckets: None,
        }
    }

    /// On this clock, which may stand at any time.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// On the system's clock.
    pub fn system_clock(mut self) -> Self {
        self.clock = None;
        self
    }

    /// With a `claimWork` that waits this long for work, in real time; otherwise it answers at once.
    pub fn claim_wait(mut self, wait: Duration) -> Self {
        self.settings.claim_wait = wait;
        self
    }

    /// With claims that last this long unless they are renewed; otherwise it is twenty minutes.
    pub fn claim_timeout(mut self, timeout: Duration) -> Self {
        self.settings.claim_timeout = timeout;
        self
    }

    /// With this database for auth, in place of memory.
    pub fn auth_database(mut self, auth: Database) -> Self {
        self.auth = auth;
        self
    }

    /// With this database for the queue, in place of memory.
    pub fn queue_database(mut self, queue: Database) -> Self {
        self.queue = queue;
        self
    }

    /// With this database for the index, in place of memory.
    pub fn index_database(mut self, index: Database) -> Self {
        self.index = index;
        self
    }

    /// With this database for the object service, in place of memory.
    pub fn object_database(mut self, object: Database) -> Self {
        self.object = object;
        self
    }

    /// With this database for the purge-cache service, in place of memory.
    pub fn purge_cache_database(mut self, purge_cache: Database) -> Self {
        self.purge_cache = purge_cache;
        self
    }

    /// With this database for the scheduler, in place of memory.
    pub fn scheduler_database(mut self, scheduler: Database) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// With this database for the provisioner, in place of memory.
    pub fn provisioner_database(mut self, provisioner: Database) -> Self {
        self.provisioner = provisioner;
        self
    }

    /// With these providers of workers, in place of `fixed` alone.
    pub fn providers(mut self, providers: Providers) -> Self {
        self.providers = providers;
        self
    }

    /// With artifacts and objects in this storage, which answers its URLs itself, in place of a temporary folder.
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = Some(buckets);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// If there is no port, no temporary folder or no database to be had.
    pub async fn start(self) -> anyhow::Result<Fake> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let root_url = format!("http://{}", listener.local_addr()?);
        let clock = self.clock.as_ref().map_or_else(SystemClock::shared, ManualClock::shared);
        let (bus, shutdown) = (MemoryBus::new(), CancellationToken::new());
        let frame = Frame::new(&root_url, Arc::new(bus.clone()));
        let frame = frame.with_clock(clock.clone()).with_shutdown(shutdown.clone());

        let clients = [
            (ROOT, ROOT_TOKEN),
            (QUEUE, QUEUE_TOKEN),
            (INDEX, INDEX_TOKEN),
            (SCHEDULER, SCHEDULER_TOKEN),
            (PROVISIONER, PROVISIONER_TOKEN),
        ];
        let clients = clients.map(|(id, token)| static_client(id, token));
        let auth = taskcluster_auth::Options::new(frame.clone(), self.auth, Sealer::ephemeral()?);
        let auth = AuthService::open(auth.with_static_clients(clients)).await?;

        let caller = Caller::builder(&root_url).credentials(Credentials::new(INDEX, INDEX_TOKEN)).clock(clock.clone());
        let calls = Queue::new(caller.build()?);
        let index = taskcluster_index::Options::new(frame.clone(), self.index, auth.local(), calls);
        let index = Arc::new(IndexService::open(index).await?);
        let frame = frame.clone().with_bus(index.tap(frame.bus));

        let blobs_url = Url::parse(&root_url)?.join("/blobs")?;
        let blobs = LocalBlobs::open(&folder.path().join("blobs"), blobs_url, b"a key for tests", clock.clone())?;
        let buckets = self.buckets.unwrap_or_else(|| Arc::new(blobs.clone()).into());
        let object = taskcluster_object::Options::new(frame.clone(), self.object, buckets.clone(), auth.local());
        let object = Arc::new(ObjectService::open(object).await?);
        let purge_cache = taskcluster_purge_cache::Options::new(frame.clone(), self.purge_cache, auth.local());
        let purge_cache = Arc::new(PurgeCacheService::open(purge_cache).await?);
        let credentials = Credentials::new(QUEUE, QUEUE_TOKEN);
        let objects = Caller::builder(&root_url).credentials(credentials.clone()).clock(clock.clone());
        let objects = objects.transport(transport::in_process(object.router())).build()?;
        let queue = taskcluster_queue::Options::new(frame.clone(), self.queue, buckets, auth.local(), credentials);
        let queue = queue.with_settings(self.settings).with_object_service(objects);
        let queue = Arc::new(QueueService::open(queue).await?);
        let caller = Caller::builder(&root_url).credentials(Credentials::new(SCHEDULER, SCHEDULER_TOKEN));
        let caller = caller.clock(clock.clone()).build()?;
        let scheduler = taskcluster_scheduler::Options::new(frame.clone(), self.scheduler, auth.local(), caller);
        let scheduler = Arc::new(SchedulerService::open(scheduler).await?);
        let credentials = Credentials::new(PROVISIONER, PROVISIONER_TOKEN);
        let caller = Caller::builder(&root_url).credentials(credentials.clone()).clock(clock.clone()).build()?;
        let (database, authenticator) = (self.provisioner, auth.local());
        let provisioner =
            taskcluster_provisioner::Options::new(frame, database, authenticator, caller, credentials, PROVISIONER_ID);
        let provisioner = Arc::new(
            ProvisionerService::open(provisioner.with_sealer(Sealer::ephemeral()?).with_providers(self.providers))
                .await?,
        );

        let routers = [
            auth.service_router()?,
            queue.service_router()?,
            index.service_router()?,
            object.service_router()?,
            purge_cache.service_router()?,
            scheduler.service_router()?,
            provisioner.service_router()?,
        ];
        let router = taskcluster_server::site(routers).merge(blobs.router());
        let background = [
            auth.background(),
            queue.background(),
            index.background(),
            object.background(),
            purge_cache.background(),
            scheduler.background(),
            provisioner.background(),
        ];
        let background = background.into_iter().flatten().collect();
        #[allow(clippy::disallowed_methods, reason = "`stop` waits for it")]
        let running = tokio::spawn(service::run(listener, router, background, shutdown.clone()));
        Ok(Fake {
            root_url,
            clock,
            manual: self.clock,
            bus,
            queue,
            index,
            object,
            purge_cache,
            scheduler,
            provisioner,
            shutdown,
            running,
            _folder: folder,
        })
    }
}

fn static_client(id: &str, token: &str) -> StaticClient {
    StaticClient { client_id: id.to_owned(), access_token: token.into(), scopes: None, description: String::new() }
}
