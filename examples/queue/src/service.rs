//! The queue as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;

use service_kit::blobs::Buckets;
use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use service_kit::store::Database;
use service_kit::sweep;
use taskcluster_core::caller::Caller;
use taskcluster_core::credentials::Credentials;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::{self, Api, Settings};
use crate::loops::{ClaimResolver, DeadlineResolver, Expiry, Listener, Waker};
use crate::store::{Store, StoreError};

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where tasks are kept.
    pub database: Database,
    /// Where the bytes of artifacts are kept. Its URLs have to be served by somebody.
    pub blobs: Buckets,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// The queue's own credentials, which must be permanent ones and hold every scope that tasks may have.
    pub credentials: Credentials,
    /// Calls the deployment's object service as the queue, if it has one: without, no artifact can be an object.
    pub objects: Option<Caller>,
    /// How it behaves.
    pub settings: Settings,
}

impl Options {
    /// A service with the usual settings.
    pub fn new(
        frame: Frame,
        database: Database,
        blobs: impl Into<Buckets>,
        authenticator: Arc<dyn Authenticator>,
        credentials: Credentials,
    ) -> Self {
        let (blobs, settings) = (blobs.into(), Settings::default());
        Self { frame, database, blobs, authenticator, credentials, objects: None, settings }
    }

    /// With an object service, which is called like this: with the queue's own credentials, or others that allow
    /// `object:upload:*` and `object:download:*`.
    #[must_use]
    pub fn with_object_service(mut self, caller: Caller) -> Self {
        self.objects = Some(caller);
        self
    }

    /// With these settings.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Temporary credentials cannot issue others.
    #[error(
        "the queue needs permanent credentials: those given have a certificate, so that tasks could get none from them"
    )]
    TemporaryCredentials,
}

/// A queue, ready to run.
#[derive(Debug)]
pub struct QueueService {
    options: Options,
    store: Store,
    api: Arc<Api>,
}

impl QueueService {
    /// Opens the store.
    ///
    /// # Errors
    /// When the store cannot be opened or the credentials will not do.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        if options.credentials.certificate.is_some() {
            return Err(OpenError::TemporaryCredentials);
        }
        let store = Store::open(&options.database).await?;
        let api = Arc::new(Api::new(api::Parts {
            store: store.clone(),
            blobs: options.blobs.clone(),
            objects: options.objects.clone(),
            clock: Arc::clone(&options.frame.clock),
            credentials: options.credentials.clone(),
            settings: options.settings,
            shutdown: options.frame.shutdown.clone(),
        }));
        Ok(Self { options, store, api })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Does at once what the background would do sooner or later: claims and deadlines that are over by now end, and what has
    /// expired is deleted. For tests that move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        sweep::catch_up(&self.claim_resolver()).await?;
        sweep::catch_up(&self.deadline_resolver()).await?;
        sweep::catch_up(&self.expiry()).await
    }

    fn claim_resolver(&self) -> ClaimResolver {
        ClaimResolver { store: self.store.clone(), clock: Arc::clone(&self.options.frame.clock) }
    }

    fn deadline_resolver(&self) -> DeadlineResolver {
        let delay = self.options.settings.deadline_delay;
        DeadlineResolver { store: self.store.clone(), clock: Arc::clone(&self.options.frame.clock), delay }
    }

    fn expiry(&self) -> Expiry {
        Expiry::new(self.store.clone(), self.options.blobs.clone(), Arc::clone(&self.options.frame.clock))
    }
}

impl Service for QueueService {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let api: Arc<dyn taskcluster_server::queue::QueueApi> = Arc::clone(&self.api) as _;
        self.options.frame.serve(taskcluster_server::queue::router(api), Arc::clone(&self.options.authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let (store, frame) = (&self.store, &self.options.frame);
        let listener = Listener { store: store.clone() };
        vec![
            frame.sweep("queue", self.claim_resolver()),
            frame.sweep("queue", self.deadline_resolver()),
            frame.sweep("queue", self.expiry()),
            frame.sweep("queue", Waker { store: store.clone(), clock: Arc::clone(&frame.clock) }),
            Background::new("queue: listener", move |stop| listener.run(stop)),
            frame.relay("queue", Arc::new(store.clone()), taskcluster::queue::events::ALL),
        ]
    }
}
