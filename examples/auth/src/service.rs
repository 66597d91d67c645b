//! The service as a part of a deployment: what a binary puts together and runs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use service_kit::frame::Frame;
use service_kit::seal::{SealError, Sealer};
use service_kit::service::{Background, Service};
use service_kit::store::Database;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::{Api, Settings};
use crate::backend::Backend;
use crate::loops;
use crate::static_clients::{self, StaticClient, SyncError};
use crate::store::{Store, StoreError};

/// What a service is made of.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where clients and roles are kept.
    pub database: Database,
    /// What access tokens are sealed with.
    pub sealer: Sealer,
    /// Clients that the configuration defines.
    pub static_clients: Vec<StaticClient>,
    /// What the API needs besides.
    pub settings: Settings,
}

impl Options {
    /// A service without static clients.
    pub fn new(frame: Frame, database: Database, sealer: Sealer) -> Self {
        Self { frame, database, sealer, static_clients: Vec::new(), settings: Settings::default() }
    }

    /// With these clients of the configuration; all others under `static/` are removed.
    #[must_use]
    pub fn with_static_clients(mut self, clients: impl IntoIterator<Item = StaticClient>) -> Self {
        self.static_clients.extend(clients);
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
    /// The static clients.
    #[error(transparent)]
    StaticClients(#[from] SyncError),
    /// The key for access tokens.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The schemas of the references.
    #[error("the schemas of the API")]
    Schemas(#[from] SchemaError),
}

/// The sealer of a database: with the key in this file, or for SQLite in the file beside the database. In memory a key for now will do.
///
/// # Errors
/// When the file cannot be read or made, or when there is no place for it.
pub fn sealer_for(database: &Database, key_file: Option<&Path>) -> Result<Sealer, SealError> {
    service_kit::seal::sealer_for(database, key_file, "token_key")
}

/// An auth service, ready to run.
pub struct AuthService {
    frame: Frame,
    backend: Backend,
    settings: Settings,
}

impl fmt::Debug for AuthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl AuthService {
    /// Opens the store and brings the static clients into it.
    ///
    /// # Errors
    /// When the store cannot be opened or the static clients are not right.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        static_clients::check(&options.static_clients).map_err(SyncError::from)?;
        let store = Store::open(&options.database, options.sealer).await?;
        let backend = Backend::open(store, Arc::clone(&options.frame.clock)).await?;
        static_clients::sync(&backend, &options.static_clients).await?;
        Ok(Self { frame: options.frame, backend, settings: options.settings })
    }

    /// Clients and roles.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Judges requests for services of this process, without asking anybody.
    pub fn local(&self) -> Arc<dyn Authenticator> {
        self.backend.local()
    }

    /// Closes the store, once nothing is served any more.
    pub async fn close(self) {
        self.backend.store().close().await;
    }
}

impl Service for AuthService {
    fn name(&self) -> &'static str {
        "auth"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let api = Arc::new(Api::new(self.backend.clone(), self.settings.clone()));
        self.frame.serve(taskcluster_server::auth::router(api), self.local())
    }

    fn background(&self) -> Vec<Background> {
        let (backend, bus) = (self.backend.clone(), Arc::clone(&self.frame.bus));
        vec![
            self.frame.relay("auth", self.backend.store().outbox(), taskcluster::auth::events::ALL),
            Background::new("auth: loops", move |stop| loops::run(backend, bus, stop)),
        ]
    }
}
