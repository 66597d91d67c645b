//! A whole deployment in one process: auth, queue and blobs behind one listener, and native workers beside them.
//!
//! The services meet as parts of one program where that is natural (queue asks auth's own verifier instead of sending
//! every request's signature over the network; events go over the in-process bus), and over HTTP everywhere else: the
//! workers and this program itself are ordinary clients.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use service_kit::blobs::LocalBlobs;
use service_kit::data_dir::DataDir;
use service_kit::service::{self, Service as _};
use service_kit::store::Database;
use taskcluster::events::{Bus, MemoryBus};
use taskcluster_auth::{AuthService, StaticClient};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use taskcluster_queue::QueueService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::first_run;

/// Who the embedded workers are.
const WORKER_CLIENT: &str = "static/native-worker";
const WORKER_GROUP: &str = "local";

/// What a deployment is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) listener: TcpListener,
    /// How others reach the listener, if not by its address.
    pub(crate) public_url: Option<Url>,
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// One database for all services instead of a file for each.
    pub(crate) database: Option<String>,
    /// What else the listener answers.
    pub(crate) beside: Router,
}

/// A deployment that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Deployment {
    root_url: String,
    caller: Caller,
    bus: Arc<MemoryBus>,
    data: DataDir,
    worker_credentials: Credentials,
    working: Shutdown,
    workers: TaskTracker,
    serving: CancellationToken,
    services: TaskTracker,
}

impl Deployment {
    /// Opens what is kept in the data folder and begins to answer.
    pub(crate) async fn start(parts: Parts) -> Result<Self> {
        let data = DataDir::open(&parts.data)?;
        let root_url = match &parts.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", parts.listener.local_addr()?),
        };
        let bus = Arc::new(MemoryBus::new());
        let root_token = data.secret("root.token")?;
        let worker_token = data.secret("worker.token")?;

        let auth = open_auth(&parts, &data, &root_url, &bus, &root_token, &worker_token).await?;
        let blobs_url = Url::parse(&root_url).context("the root URL is none")?.join("/blobs")?;
        let blobs_key = data.secret("blobs.key")?;
        let blobs = LocalBlobs::open(&data.folder("blobs")?, blobs_url, blobs_key.expose().as_bytes(), SystemClock::shared())
            .context("cannot keep blobs")?;
        let queue = open_queue(&parts, &data, &root_url, &bus, &auth, &blobs).await?;

        let router = taskcluster_server::site([auth.service_router()?, queue.service_router()?])
            .merge(blobs.router())
            .merge(parts.beside);
        let background = auth.background().into_iter().chain(queue.background()).collect();
        let (serving, services) = (CancellationToken::new(), TaskTracker::new());
        let running = service::run(parts.listener, router, background, serving.clone());
        let over = serving.clone();
        services.spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "the services stopped");
            }
            over.cancel();
        });

        let caller = Caller::builder(&root_url).credentials(Credentials::new(first_run::ROOT_CLIENT, root_token)).build()?;
        first_run::prepare(&caller).await?;
        Ok(Self {
            root_url,
            caller,
            bus,
            data,
            worker_credentials: Credentials::new(WORKER_CLIENT, worker_token),
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

    pub(crate) fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    /// Starts a native worker for each of these queues.
    pub(crate) async fn work_for(&self, queues: &BTreeSet<TaskQueueId>) -> Result<()> {
        let capacity = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        for queue in queues {
            let folder = self.data.folder(&format!("worker/{}-{}", queue.provisioner_id(), queue.worker_type()))?;
            let worker = NativeWorker::builder(&self.root_url, queue.clone())
                .credentials(self.worker_credentials.clone())
                .worker_group(WORKER_GROUP)
                .worker_id(format!("{}-{}", queue.worker_type(), std::process::id()))
                // Tasks are the user's own: they run on the user's machine with the user's tools.
                .isolation(Isolation::None)
                .capacity(capacity)
                .work_dir(folder)
                .cache_dir(self.data.folder("caches")?)
                .build()
                .await?;
            let (working, serving) = (self.working.clone(), self.serving.clone());
            self.workers.spawn(async move {
                if let Err(error) = worker.run(working).await {
                    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "a worker stopped");
                    serving.cancel();
                }
            });
        }
        Ok(())
    }

    /// Resolves when the deployment broke: it does not end by itself.
    pub(crate) async fn broke(&self) {
        self.serving.cancelled().await;
    }

    /// Ends what the workers run, and the workers.
    pub(crate) async fn stop_working(&self) {
        self.working.now();
        self.workers.close();
        self.workers.wait().await;
    }

    /// Ends everything in order.
    pub(crate) async fn stop(self) {
        self.stop_working().await;
        self.serving.cancel();
        self.services.close();
        self.services.wait().await;
    }
}
