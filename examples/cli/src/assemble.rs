//! A whole deployment in one process: auth, queue, index, object, purge-cache, scheduler, provisioner, events, blobs and a tunnel behind one listener, and
//! workers beside them.
//!
//! The services meet as parts of one program where that is natural (queue asks auth's own verifier instead of sending
//! every request's signature over the network; events go over the in-process bus unless there is to be another), and over HTTP everywhere else: the
//! workers and this program itself are ordinary clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use service_kit::blobs::{Location, Storage};
use service_kit::bus::BusUrl;
use service_kit::data_dir::DataDir;
use service_kit::frame::Frame;
use service_kit::service::{self, Service as _};
use service_kit::store::Database;
use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster::{auth, provisioner, queue, scheduler};
use taskcluster_auth::{AuthService, StaticClient};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::root_url::RootUrl;
use taskcluster_core::secret::Secret;
use taskcluster_core::transport;
use taskcluster_events::EventsService;
use taskcluster_index::IndexService;
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use taskcluster_object::ObjectService;
use taskcluster_provisioner::ProvisionerService;
use taskcluster_provisioner::provider::Providers;
use taskcluster_provisioner::provider::local_process::LocalProcess;
use taskcluster_purge_cache::PurgeCacheService;
use taskcluster_queue::QueueService;
use taskcluster_scheduler::SchedulerService;
use taskcluster_tunnel::TunnelService;
use taskcluster_worker::Worker;
use taskcluster_worker::tunnel::TunnelServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::providers::Asked;
use crate::{disk, first_run, home, payload_schemas, providers};

/// Who the embedded workers are.
const WORKER_CLIENT: &str = "static/native-worker";
const WORKER_SCOPES: [&str; 5] = [
    "queue:claim-work:*",
    "queue:claim-task:*",
    "queue:worker-id:local/*",
    "purge-cache:purge-requests::*",
    "auth:websocktunnel-token:tunnel/local.*",
];
pub(crate) const WORKER_GROUP: &str = "local";

/// Whom workers on other machines are: their credentials are good for the tasks of one queue.
const DESK_CLIENT: &str = "static/desk-worker";
pub(crate) const DESK_QUEUE: &str = "local/native";
pub(crate) const DESK_GROUP: &str = "desk";
const DESK_SCOPES: [&str; 9] = [
    "queue:claim-work:local/native",
    "queue:claim-task:local/native",
    "queue:claimed-list:local/native",
    "queue:worker-id:desk/*",
    "queue:get-worker:local/native/desk/*",
    "queue:quarantine-worker:local/native/desk/*",
    "queue:status:*",
    "purge-cache:purge-requests::local/native",
    "auth:websocktunnel-token:tunnel/desk.*",
];

/// The services that the page at the root URL names.
const SERVICES: [&str; 8] = ["auth", "queue", "index", "object", "purge-cache", "scheduler", "provisioner", "events"];

/// Where the tunnel is, below the root URL, and what auth calls it: workers that nobody can reach wait there for viewers.
pub(crate) const TUNNEL_PATH: &str = "/tunnel";
pub(crate) const TUNNEL_AUDIENCE: &str = "tunnel";

/// Whose credentials those of running tasks are made from.
const QUEUE_CLIENT: &str = "static/taskcluster/queue";

/// Who signs links to artifacts of indexed tasks.
const INDEX_CLIENT: &str = "static/taskcluster/index";

/// Who creates the tasks of graphs, each with the scopes of its graph.
const SCHEDULER_CLIENT: &str = "static/taskcluster/scheduler";

/// Who makes the credentials of the workers that come and go.
const PROVISIONER_CLIENT: &str = "static/taskcluster/provisioner";

/// Tasks for queues of this name, such as `local/build`, are for worker types of the provisioner.
pub(crate) const PROVISIONER_ID: &str = "local";

/// The word by which worker types name this program.
const PROGRAM: &str = "taskcluster";

/// How long workers may take to end at the end of the deployment.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a deployment is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) listener: TcpListener,
    /// How others reach the listener, if not by its address.
    pub(crate) public_url: Option<RootUrl>,
    /// Where everything is kept.
    pub(crate) data: DataDir,
    /// One database for all services instead of a file for each.
    pub(crate) database: Option<String>,
    /// Where events go.
    pub(crate) bus: BusUrl,
    /// Another place for artifacts than the data folder.
    pub(crate) blobs: Option<Location>,
    /// Where workers of worker types come from, besides processes of this machine.
    pub(crate) providers: Vec<Asked>,
    /// What else the listener answers.
    pub(crate) beside: Router,
}

/// A deployment that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Deployment {
    root_url: String,
    caller: Caller,
    bus: Arc<dyn Bus>,
    data: DataDir,
    worker_credentials: Credentials,
    desk_credentials: Credentials,
    /// For the embedded workers, where viewers are on other machines than those.
    tunnel: Option<TunnelServer>,
    provisioner: ProvisionerService,
    working: Shutdown,
    workers: TaskTracker,
    serving: CancellationToken,
    services: TaskTracker,
}

impl Deployment {
    /// Opens what is kept in the data folder, and begins to answer.
    pub(crate) async fn start(parts: Parts) -> Result<Self> {
        let data = parts.data;
        let root_url = match &parts.public_url {
            Some(url) => url.to_string(),
            None => format!("http://{}", parts.listener.local_addr()?),
        };
        let bus = parts.bus.open()?;
        let tokens = Tokens::of(&data)?;
        let (serving, services) = (CancellationToken::new(), TaskTracker::new());
        let frame = Frame::new(&root_url, Arc::clone(&bus)).with_shutdown(serving.clone());
        let asked = parts.database.as_deref();
        let auth = open_auth(frame.clone(), database(asked, &data, "auth")?, &data, &tokens).await?;
        let index = database(asked, &data, "index")?;
        let (index, frame) = open_index(frame, &parts.bus, index, &auth, &tokens).await?;
        let blobs = open_blobs(parts.blobs, &data, &root_url)?;
        // The queue's artifacts and the data of objects lie side by side: no key of the one is one of the other.
        let (state, buckets) = (database(asked, &data, "object")?, blobs.buckets.clone());
        let options = taskcluster_object::Options::new(frame.clone(), state, buckets, auth.local());
        let object = ObjectService::open(options).await?;
        let state = database(asked, &data, "purge-cache")?;
        let options = taskcluster_purge_cache::Options::new(frame.clone(), state, auth.local());
        let purge_cache = PurgeCacheService::open(options).await?;
        let as_queue = Credentials::new(QUEUE_CLIENT, tokens.queue.clone());
        let objects = Caller::builder(&root_url).credentials(as_queue.clone());
        let objects = objects.transport(transport::in_process(object.router())).build()?;
        let state = database(asked, &data, "queue")?;
        let options = taskcluster_queue::Options::new(frame.clone(), state, blobs.buckets, auth.local(), as_queue);
        let queue = QueueService::open(options.with_object_service(objects)).await?;
        let state = database(asked, &data, "scheduler")?;
        let scheduler = open_scheduler(frame.clone(), &parts.bus, state, &auth, &tokens).await?;
        let state = database(asked, &data, "provisioner")?;
        let places = open_providers(&parts.providers, &data)?;
        let provisioner = open_provisioner(frame.clone(), state, &data, places, &auth, &tokens).await?;
        let heard = taskcluster_events::Options::new(frame, auth.local()).with_exchanges(exchanges());
        let events = EventsService::open(heard).await?;
        let tunnel = open_tunnel(&root_url, &tokens, serving.clone())?;

        let routers = [
            auth.service_router()?,
            queue.service_router()?,
            index.service_router()?,
            object.service_router()?,
            purge_cache.service_router()?,
            scheduler.service_router()?,
            provisioner.service_router()?,
            events.service_router()?,
        ];
        let router = taskcluster_server::site(routers)
            .merge(blobs.router.unwrap_or_default())
            .merge(home::router(&root_url, &SERVICES))
            .merge(payload_schemas::router())
            .merge(tunnel.router(TUNNEL_PATH))
            .merge(parts.beside);
        let caller =
            Caller::builder(&root_url).credentials(Credentials::new(first_run::ROOT_CLIENT, tokens.root)).build()?;
        // Not over the network: nobody is answered before this is done, and the proxy that the root URL leads to may
        // well be started after us.
        let within = caller.to_builder().transport(transport::in_process(router.clone())).build()?;
        first_run::prepare(&within, &data).await?;

        let background = [
            auth.background(),
            queue.background(),
            index.background(),
            object.background(),
            purge_cache.background(),
            scheduler.background(),
            provisioner.background(),
            events.background(),
            tunnel.background(),
        ];
        let background = background.into_iter().flatten().collect();
        let worker_credentials = Credentials::new(WORKER_CLIENT, tokens.worker);
        let address = parts.listener.local_addr()?;
        let tunnel = if parts.public_url.is_none() && address.ip().is_loopback() {
            None
        } else {
            let url = Url::parse(&format!("http://{address}{TUNNEL_PATH}"))?;
            let caller = within.to_builder().credentials(worker_credentials.clone()).build()?;
            Some(TunnelServer::new(url, TUNNEL_AUDIENCE, caller))
        };
        let running = service::run(parts.listener, router, background, serving.clone());
        let over = serving.clone();
        services.spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "the services stopped");
            }
            over.cancel();
        });

        Ok(Self {
            root_url,
            caller,
            bus,
            data,
            worker_credentials,
            desk_credentials: Credentials::new(DESK_CLIENT, tokens.desk),
            tunnel,
            provisioner,
            working: Shutdown::new(),
            workers: TaskTracker::new(),
            serving,
            services,
        })
    }

    pub(crate) fn root_url(&self) -> &str {
        &self.root_url
    }

    /// Calls that may do everything.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Calls that may do what these scopes allow.
    pub(crate) fn restricted(&self, scopes: Vec<String>) -> Result<Caller> {
        Ok(self.caller.to_builder().authorized_scopes(scopes).build()?)
    }

    /// Those of workers on other machines.
    pub(crate) fn desk_credentials(&self) -> &Credentials {
        &self.desk_credentials
    }

    /// Those of the embedded workers.
    #[cfg(feature = "docker")]
    pub(crate) fn worker_credentials(&self) -> &Credentials {
        &self.worker_credentials
    }

    #[cfg(feature = "docker")]
    pub(crate) fn tunnel(&self) -> Option<&TunnelServer> {
        self.tunnel.as_ref()
    }

    pub(crate) fn shared_bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    pub(crate) fn data(&self) -> &DataDir {
        &self.data
    }

    pub(crate) fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    /// Starts a native worker for each of these queues.
    pub(crate) async fn work_for(&self, queues: &BTreeSet<TaskQueueId>) -> Result<()> {
        for queue in queues {
            let folder = self.data.folder(&format!("worker/{queue}"))?;
            let mut worker = NativeWorker::builder(&self.root_url, queue.clone())
                .credentials(self.worker_credentials.clone())
                .worker_group(WORKER_GROUP)
                // The same after a restart, so that it finds and gives back what it had claimed before.
                .worker_id(queue.worker_type())
                // Tasks are the user's own: they run on the user's machine with the user's tools.
                .isolation(Isolation::None)
                .capacity(self.capacity())
                .bus(self.shared_bus())
                .work_dir(folder)
                .cache_dir(self.data.folder("caches")?)
                // No more than that: a user's disk is often fuller than that of a machine which does nothing else.
                .required_disk_space(disk::LEAST_TO_BEGIN);
            if let Some(tunnel) = &self.tunnel {
                worker = worker.tunnel(tunnel.clone());
            }
            self.employ(worker.into_worker_builder().await?.build()?);
        }
        Ok(())
    }

    /// How many tasks a worker runs at once.
    pub(crate) fn capacity(&self) -> usize {
        std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
    }

    /// Has a worker take tasks until the deployment stops; it breaks with the worker.
    pub(crate) fn employ(&self, worker: Worker) {
        let (working, serving) = (self.working.clone(), self.serving.clone());
        self.workers.spawn(async move {
            if let Err(error) = worker.run(working).await {
                tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "a worker stopped");
                serving.cancel();
            }
        });
    }

    /// Resolves when the deployment broke: it does not end by itself.
    pub(crate) async fn broke(&self) {
        self.serving.cancelled().await;
    }

    /// Has the workers take nothing more, and waits until they have done what they run, but not for longer than that.
    pub(crate) async fn finish_working(&self, patience: Duration) {
        self.working.drain();
        self.workers.close();
        let _ = tokio::time::timeout(patience, self.workers.wait()).await;
    }

    /// Ends what the workers run, and the workers.
    pub(crate) async fn stop_working(&self) {
        self.working.now_because("the deployment is stopped");
        self.workers.close();
        let ended = self.provisioner.end_all("the deployment is stopped", PATIENCE);
        let (ended, ()) = tokio::join!(ended, self.workers.wait());
        if let Err(error) = ended {
            tracing::warn!(%error, "workers of the provisioner may still run");
        }
    }

    /// Ends everything in order.
    pub(crate) async fn stop(self) {
        self.stop_working().await;
        self.serving.cancel();
        self.services.close();
        self.services.wait().await;
    }
}

/// The access tokens of the deployment's own clients, made once.
struct Tokens {
    root: Secret,
    queue: Secret,
    index: Secret,
    scheduler: Secret,
    provisioner: Secret,
    worker: Secret,
    desk: Secret,
    /// What tokens for the tunnel are signed with.
    tunnel: Secret,
}

impl Tokens {
    fn of(data: &DataDir) -> Result<Self> {
        Ok(Self {
            root: data.secret("root.token")?,
            queue: data.secret("queue.token")?,
            index: data.secret("index.token")?,
            scheduler: data.secret("scheduler.token")?,
            provisioner: data.secret("provisioner.token")?,
            worker: data.secret("worker.token")?,
            desk: data.secret("desk.token")?,
            tunnel: data.secret("tunnel.key")?,
        })
    }
}

async fn open_auth(frame: Frame, database: Database, data: &DataDir, tokens: &Tokens) -> Result<AuthService> {
    let sealer = taskcluster_auth::sealer_for(&database, Some(&data.join("auth.key")))?;
    let client = |client_id: &str, token: &Secret, scopes: Option<&[&str]>| StaticClient {
        client_id: client_id.to_owned(),
        access_token: token.clone(),
        scopes: scopes.map(|scopes| scopes.iter().copied().map(str::to_owned).collect()),
        description: String::new(),
    };
    let clients = [
        client(first_run::ROOT_CLIENT, &tokens.root, None),
        client(QUEUE_CLIENT, &tokens.queue, None),
        client(INDEX_CLIENT, &tokens.index, None),
        client(SCHEDULER_CLIENT, &tokens.scheduler, None),
        client(PROVISIONER_CLIENT, &tokens.provisioner, None),
        client(WORKER_CLIENT, &tokens.worker, Some(&WORKER_SCOPES)),
        client(DESK_CLIENT, &tokens.desk, Some(&DESK_SCOPES)),
    ];
    let settings = taskcluster_auth::Settings { websocktunnel_secret: Some(tokens.tunnel.clone()) };
    let options =
        taskcluster_auth::Options::new(frame, database, sealer).with_static_clients(clients).with_settings(settings);
    Ok(AuthService::open(options).await?)
}

/// The index, and what surrounds the services that publish: RabbitMQ keeps what is completed for the index, a bus of this
/// process is tapped.
async fn open_index(
    frame: Frame,
    bus: &BusUrl,
    database: Database,
    auth: &AuthService,
    tokens: &Tokens,
) -> Result<(IndexService, Frame)> {
    let credentials = Credentials::new(INDEX_CLIENT, tokens.index.clone());
    let queue = Queue::new(Caller::builder(&frame.root_url).credentials(credentials).build()?);
    let options = taskcluster_index::Options::new(frame.clone(), database, auth.local(), queue);
    if *bus != BusUrl::Memory {
        let index = IndexService::open(options.hearing(bus.open_queue("index")?)).await?;
        return Ok((index, frame));
    }
    let index = IndexService::open(options).await?;
    let tapped = index.tap(Arc::clone(&frame.bus));
    Ok((index, frame.with_bus(tapped)))
}

/// Everything that the services of a deployment tell.
fn exchanges() -> impl Iterator<Item = &'static str> {
    let all = [auth::events::ALL, queue::events::ALL, scheduler::events::ALL, provisioner::events::ALL];
    all.into_iter().flatten().map(|exchange| exchange.exchange)
}

/// The scheduler, which RabbitMQ keeps the events of its tasks for; over a bus of this process it asks after a restart.
async fn open_scheduler(
    frame: Frame,
    bus: &BusUrl,
    database: Database,
    auth: &AuthService,
    tokens: &Tokens,
) -> Result<SchedulerService> {
    let credentials = Credentials::new(SCHEDULER_CLIENT, tokens.scheduler.clone());
    let caller = Caller::builder(&frame.root_url).credentials(credentials).build()?;
    let options = taskcluster_scheduler::Options::new(frame, database, auth.local(), caller);
    let options = if *bus == BusUrl::Memory { options } else { options.hearing(bus.open_queue("scheduler")?) };
    Ok(SchedulerService::open(options).await?)
}

/// Where workers of worker types come from: as processes of this machine they are this program.
fn open_providers(asked: &[Asked], data: &DataDir) -> Result<Providers> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let processes = LocalProcess::new(data.folder("provisioned")?, [(PROGRAM.to_owned(), program)]);
    providers::open(asked, Providers::new().with(processes), data)
}

/// The provisioner. The data folder is one process's at a time, so whoever has it is the one that led before.
async fn open_provisioner(
    frame: Frame,
    database: Database,
    data: &DataDir,
    providers: Providers,
    auth: &AuthService,
    tokens: &Tokens,
) -> Result<ProvisionerService> {
    let credentials = Credentials::new(PROVISIONER_CLIENT, tokens.provisioner.clone());
    let caller = Caller::builder(&frame.root_url).credentials(credentials.clone()).build()?;
    let sealer = taskcluster_provisioner::sealer_for(&database, Some(&data.join("provisioner.key")))?;
    let options =
        taskcluster_provisioner::Options::new(frame, database, auth.local(), caller, credentials, PROVISIONER_ID);
    let options = options.with_sealer(sealer).with_providers(providers).with_holder(providers::owner(data)?);
    Ok(ProvisionerService::open(options).await?)
}

fn open_tunnel(root_url: &str, tokens: &Tokens, shutdown: CancellationToken) -> Result<TunnelService> {
    let url = Url::parse(&format!("{root_url}{TUNNEL_PATH}")).context("the root URL is none")?;
    let options = taskcluster_tunnel::Options::new([tokens.tunnel.clone()], url);
    Ok(TunnelService::new(options.with_audience(TUNNEL_AUDIENCE).with_shutdown(shutdown)))
}

fn open_blobs(asked: Option<Location>, data: &DataDir, root_url: &str) -> Result<Storage> {
    let url = Url::parse(&format!("{root_url}/blobs")).context("the root URL is none")?;
    let key = data.secret("blobs.key")?;
    let location = asked.map_or_else(|| data.folder("blobs").map(Location::Folder), Ok)?;
    Ok(location.open(url, Some(&key), SystemClock::shared())?)
}

/// The database that was asked for, or a file of the service's own.
fn database(asked: Option<&str>, data: &DataDir, service: &str) -> Result<Database> {
    match asked.map(str::parse).transpose()? {
        // A file belongs to one service; the services of a PostgreSQL database have a schema each.
        Some(Database::Sqlite(path)) => Ok(Database::Sqlite(path.with_extension(format!("{service}.sqlite")))),
        Some(other) => Ok(other),
        None => Ok(Database::Sqlite(data.join(format!("{service}.sqlite")))),
    }
}
