//! The one method of the service: who may listen to what, and from where on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use taskcluster::events::Binding;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::hours;
use taskcluster_core::transport::Body;
use taskcluster_server::event_stream::{ConnectQuery, EventsApi};
use taskcluster_server::{Call, Failure, Reply};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::listener::{Listener, Start};
use crate::places::Places;
use crate::recent::Recent;

/// How the service behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How many may listen at once.
    pub listeners: usize,
    /// How many streams one client may have, or one address without credentials.
    pub listeners_each: usize,
    /// How many bindings a listener may have.
    pub bindings: usize,
    /// How many messages are kept for those who come back.
    pub kept_messages: usize,
    /// How many bytes they may take in memory, roughly.
    pub kept_bytes: usize,
    /// How long a stream is silent before there is a ping.
    pub ping: Duration,
    /// How long a stream lasts before the listener has to show anew what it may hear.
    pub longest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listeners: 1000,
            listeners_each: 100,
            bindings: 100,
            kept_messages: 50_000,
            kept_bytes: 64 << 20,
            ping: Duration::from_secs(15),
            longest: hours(1),
        }
    }
}

/// The longest name of an exchange and the longest pattern; AMQP allows no longer ones.
const LONGEST_NAME: usize = 255;

/// The service as an implementation of its reference.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) recent: Arc<Recent>,
    /// The exchanges that are passed on.
    pub(crate) exchanges: BTreeSet<String>,
    pub(crate) settings: Settings,
    pub(crate) places: Arc<Places>,
    pub(crate) clock: SharedClock,
    pub(crate) shutdown: CancellationToken,
}

#[taskcluster_server::async_trait]
impl EventsApi for Api {
    async fn connect(&self, call: &Call, query: ConnectQuery) -> Result<Reply<Body>, Failure> {
        let bindings = self.bindings(query.bindings.as_deref())?;
        let exchanges: BTreeSet<&str> = bindings.iter().map(|binding| binding.exchange.as_str()).collect();
        call.authorize(Params::new().list("exchanges", exchanges.iter().copied())).await?;
        if let Some(unknown) = exchanges.iter().find(|exchange| !self.exchanges.contains(**exchange)) {
            let known: Vec<&str> = self.exchanges.iter().map(String::as_str).collect();
            let message = format!("The exchange {unknown:?} is not passed on here, only {}.", known.join(", "));
            return Err(Failure::input_error(message));
        }
        let start = self.start(call.header("last-event-id").or(query.last_event_id.as_deref()))?;
        let who = match call.client_id().await? {
            "" => format!("anonymous at {}", call.source_ip().unwrap_or_default()),
            client_id => client_id.to_owned(),
        };
        let place = self.places.take(who);
        let place = place.ok_or_else(|| Failure::too_many_requests("There is no room for another listener."))?;
        let listener = Listener {
            recent: Arc::clone(&self.recent),
            bindings,
            start,
            clock: Arc::clone(&self.clock),
            ping: self.settings.ping,
            until: Instant::now() + self.settings.longest,
            shutdown: self.shutdown.clone(),
            _place: place,
        };
        let reply =
            Reply::new(Body::from_stream(listener.into_stream())).with_header("content-type", "text/event-stream");
        // Proxies must pass on each event when it comes.
        Ok(reply.with_header("x-accel-buffering", "no"))
    }
}

/// What the query says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    bindings: Vec<WantedBinding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedBinding {
    exchange: String,
    routing_key_pattern: String,
}

impl Api {
    fn bindings(&self, json: Option<&str>) -> Result<Vec<Binding>, Failure> {
        let invalid = |what: String| Failure::invalid_arguments(format!("The query parameter `bindings` {what}."));
        let json = json.ok_or_else(|| invalid("is needed".to_owned()))?;
        let wanted: Wanted = serde_json::from_str(json)
            .map_err(|error| invalid(format!("is not what v1/bindings.json says: {error}")))?;
        let most = self.settings.bindings;
        if wanted.bindings.is_empty() || wanted.bindings.len() > most {
            return Err(invalid(format!("must hold from 1 to {most} of them")));
        }
        let named = |text: &str| (1..=LONGEST_NAME).contains(&text.len());
        if !wanted.bindings.iter().all(|wanted| named(&wanted.exchange) && named(&wanted.routing_key_pattern)) {
            return Err(invalid(format!(
                "has an exchange or a pattern that is not 1 to {LONGEST_NAME} characters long"
            )));
        }
        let bindings = wanted.bindings.into_iter();
        Ok(bindings.map(|wanted| Binding::new(wanted.exchange, wanted.routing_key_pattern)).collect())
    }

    fn start(&self, last_event_id: Option<&str>) -> Result<Start, Failure> {
        let Some(id) = last_event_id.filter(|id| !id.is_empty()) else { return Ok(Start::Now) };
        match self.recent.position(id) {
            Ok(Some(position)) => Ok(Start::At(position)),
            Ok(None) => Ok(Start::Lost),
            Err(error) => Err(Failure::invalid_arguments(format!("{error}."))),
        }
    }
}
