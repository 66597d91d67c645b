//! The service as a part of a deployment: what a binary puts together and runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service_kit::frame::Frame;
use service_kit::service::{Background, Service};
use taskcluster::events::{Binding, Bus, BusError, Subscription};
use taskcluster::{auth, queue};
use taskcluster_core::chain;
use taskcluster_server::event_stream::EventsApi;
use taskcluster_server::{Authenticator, SchemaError, ServiceRouter};

use crate::api::{Api, Settings};
use crate::places::Places;
use crate::recent::Recent;

/// How long to wait before the bus is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a service is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What surrounds it. How long streams last and are silent is told by the machine's own timer, whatever the clock.
    pub frame: Frame,
    /// The exchanges that are passed on.
    pub exchanges: Vec<String>,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// How it behaves.
    pub settings: Settings,
}

impl Options {
    /// A service that passes on everything that auth and queue publish.
    pub fn new(frame: Frame, authenticator: Arc<dyn Authenticator>) -> Self {
        let exchanges = queue::events::ALL.iter().chain(auth::events::ALL);
        let exchanges = exchanges.map(|exchange| exchange.exchange.to_owned()).collect();
        Self { frame, exchanges, authenticator, settings: Settings::default() }
    }

    /// Passes on these exchanges, and no others.
    #[must_use]
    pub fn with_exchanges(mut self, exchanges: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exchanges = exchanges.into_iter().map(Into::into).collect();
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
    /// The bus.
    #[error("cannot listen to the bus")]
    Bus(#[source] BusError),
}

/// The service, ready to run.
#[derive(Debug)]
pub struct EventsService {
    options: Options,
    api: Arc<Api>,
    /// Taken by the loop that listens.
    messages: Mutex<Option<Subscription>>,
}

impl EventsService {
    /// Begins to listen to the bus: what is published from now on can be heard.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let messages = options.frame.bus.subscribe(bindings(&options.exchanges)).await.map_err(OpenError::Bus)?;
        let settings = options.settings.clone();
        let api = Api {
            recent: Arc::new(Recent::new(settings.kept_messages, settings.kept_bytes)),
            exchanges: options.exchanges.iter().cloned().collect(),
            places: Arc::new(Places::new(settings.listeners, settings.listeners_each)),
            settings,
            clock: Arc::clone(&options.frame.clock),
            shutdown: options.frame.shutdown.clone(),
        };
        Ok(Self { options, api: Arc::new(api), messages: Mutex::new(Some(messages)) })
    }

    /// How many more may listen.
    #[must_use]
    pub fn free_places(&self) -> usize {
        self.api.places.free()
    }
}

impl Service for EventsService {
    fn name(&self) -> &'static str {
        "events"
    }

    fn service_router(&self) -> Result<ServiceRouter, SchemaError> {
        let api: Arc<dyn EventsApi> = Arc::clone(&self.api) as _;
        self.options.frame.serve(taskcluster_server::event_stream::router(api), Arc::clone(&self.options.authenticator))
    }

    fn background(&self) -> Vec<Background> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (bus, exchanges, recent) =
            (Arc::clone(&self.options.frame.bus), self.options.exchanges.clone(), Arc::clone(&self.api.recent));
        let listening = Background::new("events: listener", move |stop| async move {
            tokio::select! {
                () = listen(bus, exchanges, recent, messages) => {}
                () = stop.cancelled() => {}
            }
        });
        vec![listening]
    }
}

fn bindings(exchanges: &[String]) -> Vec<Binding> {
    exchanges.iter().map(Binding::everything).collect()
}

/// Keeps what the bus says, for ever. Where something may be missing, that is noted.
async fn listen(bus: Arc<dyn Bus>, exchanges: Vec<String>, recent: Arc<Recent>, first: Option<Subscription>) {
    let mut next = first;
    loop {
        if let Some(mut messages) = next.take() {
            keep(&mut messages, &recent).await;
        }
        match bus.subscribe(bindings(&exchanges)).await {
            Ok(messages) => {
                recent.add_gap();
                next = Some(messages);
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot listen to the bus; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Until the subscription ends.
async fn keep(messages: &mut Subscription, recent: &Recent) {
    while let Some(received) = messages.next().await {
        match received {
            Ok(message) => recent.add(message),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "messages may be missing");
                recent.add_gap();
                if !error.goes_on() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}
