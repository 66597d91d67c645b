//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service_kit::frame::Frame;
use service_kit::seal::Sealer;
use service_kit::service::{Background, Service};
use service_kit::store::{Database, StoreError};
use service_kit::sweep::Sweep as _;
use taskcluster::Caller;
use taskcluster::auth::Auth;
use taskcluster::events::Bus;
use taskcluster::queue::Queue;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_server::provisioner::ProvisionerApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::loops::expiry::Expiry;
use crate::loops::hear::Hear;
use crate::messages;
use crate::passes::{Launches, Passes};
use crate::policy::{Policy, Steady};
use crate::provider::Providers;
use crate::recorder::Recorder;
use crate::store::{Lead, SCHEMA, Store};
use crate::tokens::Tokens;

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it.
    pub frame: Frame,
    /// Where worker types and instances are kept.
    pub database: Database,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// How it calls the queue and auth.
    pub caller: Caller,
    /// Its own credentials, from which those of its workers are made; these get no scope that it has not.
    pub credentials: Credentials,
    /// Where instances come from.
    pub providers: Providers,
    /// The bus on which it hears of tasks; that of the frame unless there is another.
    pub hears: Arc<dyn Bus>,
    /// Its identifier: the first half of the names of its task queues.
    pub provisioner_id: String,
    /// Where it is found, if that is not the root URL.
    pub public_url: Option<String>,
    /// What definitions and secrets are sealed with in the database; if nothing is set, that of [`sealer_for`](service_kit::seal::sealer_for) the database.
    pub sealer: Option<Arc<Sealer>>,
    /// Says how much there shall be.
    pub policy: Arc<dyn Policy>,
    /// The name under which it leads among processes on one database; drawn unless there is another.
    pub holder: Option<String>,
}

impl Options {
    /// A provisioner of that identifier, with fixed workers only.
    pub fn new(
        frame: Frame,
        database: Database,
        authenticator: Arc<dyn Authenticator>,
        caller: Caller,
        credentials: Credentials,
        provisioner_id: impl Into<String>,
    ) -> Self {
        let hears = Arc::clone(&frame.bus);
        let (providers, policy) = (Providers::new(), Arc::new(Steady));
        let provisioner_id = provisioner_id.into();
        Self {
            frame,
            database,
            authenticator,
            caller,
            credentials,
            providers,
            hears,
            provisioner_id,
            public_url: None,
            sealer: None,
            policy,
            holder: None,
        }
    }

    /// Which is found there, and not at the root URL: beside another one.
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<Option<String>>) -> Self {
        self.public_url = url.into();
        self
    }

    /// Which seals with this.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(Arc::new(sealer));
        self
    }

    /// With these providers.
    #[must_use]
    pub fn with_providers(mut self, providers: Providers) -> Self {
        self.providers = providers;
        self
    }

    /// Which listens to another bus.
    #[must_use]
    pub fn hearing(mut self, bus: Arc<dyn Bus>) -> Self {
        self.hears = bus;
        self
    }

    /// Which leads under this name, also after a restart: it does not wait until the lead of the process is over that was killed. No two
    /// processes may have the same name at a time.
    #[must_use]
    pub fn with_holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = Some(holder.into());
        self
    }

    /// With another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Arc::new(policy);
        self
    }
}

/// A provisioner, ready to run.
#[derive(Debug)]
pub struct ProvisionerService {
    options: Options,
    store: Store,
    recorder: Recorder,
    hint: watch::Sender<u64>,
    lead: Lead,
    turn: Arc<Mutex<()>>,
    closing: CancellationToken,
}

impl ProvisionerService {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened, or was sealed with another key.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let sealer = match &options.sealer {
            Some(sealer) => Arc::clone(sealer),
            None => Arc::new(crate::store::sealer_for(&options.database, None)?),
        };
        let store = Store::open(&options.database, sealer).await?;
        let lead = Lead { holder: options.holder.clone().unwrap_or_else(|| TaskId::new().to_string()) };
        Ok(Self {
            options,
            store,
            recorder: Recorder::default(),
            hint: watch::Sender::new(0),
            lead,
            turn: Arc::default(),
            closing: CancellationToken::new(),
        })
    }

    /// The state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes one pass at once. For tests that move the clock.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.passes().step().await.map(drop)
    }

    /// Has all instances end, and waits until they have, at most so long: for a deployment that stops as a whole, while the queue still
    /// takes back what they run. No passes are made any more.
    ///
    /// # Errors
    /// When the store fails, or something is left.
    pub async fn end_all(&self, reason: &'static str, patience: Duration) -> anyhow::Result<()> {
        let passes = self.passes();
        tokio::time::timeout(patience, passes.end_all(reason)).await.context("some instances have not ended")??;
        Ok(())
    }

    fn passes(&self) -> Passes {
        let options = &self.options;
        let provisioner_id: Arc<str> = options.provisioner_id.as_str().into();
        Passes {
            store: self.store.clone(),
            providers: options.providers.clone(),
            queue: Queue::new(options.caller.clone()),
            policy: Arc::clone(&options.policy),
            provisioner_id: Arc::clone(&provisioner_id),
            launches: Launches {
                root_url: options.frame.root_url.as_str().into(),
                public_url: options.public_url.as_deref().map(Into::into),
                provisioner_id,
                tokens: Tokens::new(options.credentials.access_token.clone()),
            },
            recorder: self.recorder.clone(),
            lead: self.lead.clone(),
            hints: self.hint.subscribe(),
            turn: Arc::clone(&self.turn),
            closing: self.closing.clone(),
            clock: Arc::clone(&options.frame.clock),
        }
    }

    fn api(&self) -> Api {
        let options = &self.options;
        Api {
            store: self.store.clone(),
            providers: options.providers.clone(),
            queue: Queue::new(options.caller.clone()),
            auth: Auth::new(options.caller.clone()),
            credentials: options.credentials.clone(),
            provisioner_id: options.provisioner_id.as_str().into(),
            hint: self.hint.clone(),
            begun: options.frame.clock.now(),
            clock: Arc::clone(&options.frame.clock),
        }
    }

    fn hear(&self) -> Hear {
        Hear {
            bus: Arc::clone(&self.options.hears),
            provisioner_id: self.options.provisioner_id.as_str().into(),
            recorder: self.recorder.clone(),
            hint: self.hint.clone(),
            clock: Arc::clone(&self.options.frame.clock),
        }
    }
}

impl Service for ProvisionerService {
    fn name(&self) -> &'static str {
        SCHEMA.service
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let Options { frame, authenticator, .. } = &self.options;
        let api: Arc<dyn ProvisionerApi> = Arc::new(self.api());
        frame.serve(taskcluster_server::provisioner::router(api), Arc::clone(authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let frame = &self.options.frame;
        let (hear, passes) = (self.hear(), self.passes());
        let (clock, ended) = (Arc::clone(&frame.clock), self.passes());
        vec![
            Background::new("provisioner: listener", move |stop| hear.run(stop)),
            Background::new("provisioner: passes", move |stop| async move {
                service_kit::sweep::run(passes, clock, stop).await;
                ended.leave().await;
            }),
            frame.sweep(self.name(), Expiry { store: self.store.clone(), clock: Arc::clone(&frame.clock) }),
            frame.relay(self.name(), self.store.outbox(), &messages::EXCHANGES),
        ]
    }
}
