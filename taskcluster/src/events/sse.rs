//! The bus of programs that cannot reach the message broker: the service `events/v1`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use taskcluster_core::{Caller, Error, RetryPolicy, chain};

use super::{Binding, BoxError, Bus, BusError, Message, Subscription};
use crate::Taskcluster;
use crate::event_stream::{ConnectRequest, Events};

mod parse;

use parse::{Parser, ServerEvent};

/// How long connecting anew may take.
const CONNECTING: Duration = Duration::from_secs(30);

/// Listens over plain HTTP, by server-sent events of the service `events/v1`. Publishing is not possible.
///
/// The connection may break at any time and place: the subscription connects again, shows its credentials anew, and goes on
/// after the last message that it gave. Where the service does not have what came in between any more,
/// [`BusError::Interrupted`] says so. While nobody can be reached the subscription waits and tries again, less and less often, at least every ten seconds. A refusal, because
/// credentials have expired say, is [`BusError::Unavailable`] each time, and asking for the next message tries again.
///
/// The service says something every 15 seconds, be it that nothing happens. When it is silent for the
/// [`stall_timeout`](RetryPolicy::stall_timeout) of the handle's policy, the connection counts as broken; one that is silent by
/// nature is asked again that often, and nothing is lost by that.
///
/// ```no_run
/// use taskcluster::Taskcluster;
/// use taskcluster::events::{Binding, Bus, SseBus};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tc = Taskcluster::from_env()?;
/// let wanted = Binding::everything("exchange/taskcluster-queue/v1/task-completed");
/// let mut completed = SseBus::new(&tc).subscribe(vec![wanted]).await?;
/// while let Some(message) = completed.next().await {
///     println!("{}", message?.routing_key);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SseBus {
    events: Events,
}

impl SseBus {
    /// The bus of a deployment, listened to with the credentials of the handle.
    #[must_use]
    pub fn new(tc: &Taskcluster) -> Self {
        Self::of(tc.caller())
    }

    pub(crate) fn of(caller: &Caller) -> Self {
        Self { events: Events::new(caller.clone()) }
    }
}

/// It cannot be published over server-sent events.
#[derive(Debug, thiserror::Error)]
#[error("server-sent events are for listening only: publish to the message broker")]
struct ListeningOnly;

#[async_trait]
impl Bus for SseBus {
    /// Refuses: there is only listening.
    async fn publish(&self, message: Message) -> Result<(), BusError> {
        Err(BusError::Refused { exchange: message.exchange, source: ListeningOnly.into() })
    }

    async fn subscribe(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        if bindings.is_empty() {
            return Ok(Subscription::new(stream::pending()));
        }
        let mut reader = Reader::new(self.events.clone(), &bindings);
        let retries = self.events.caller().retry_policy().retries;
        // As patient as the handle is.
        while let Err(trouble) = reader.connect(reader.request()).await {
            // Calls have been repeated already, but nobody makes up for an answer that breaks off.
            if matches!(trouble, Trouble::Call(_)) || reader.breaks >= retries {
                return Err(unavailable(trouble));
            }
            reader.breaks += 1;
            tokio::time::sleep(pause(reader.breaks)).await;
        }
        Ok(Subscription::new(stream::unfold(reader, |mut reader| async move { Some((reader.next().await, reader)) })))
    }
}

fn unavailable(trouble: Trouble) -> BusError {
    let source: BoxError = match trouble {
        Trouble::Call(error) => error.into(),
        Trouble::Stream(message) => message.into(),
    };
    BusError::Unavailable { source }
}

/// The JSON of the query.
#[derive(Serialize)]
struct Wanted<'a> {
    bindings: Vec<WantedBinding<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WantedBinding<'a> {
    exchange: &'a str,
    routing_key_pattern: &'a str,
}

/// The data of a `message` event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    exchange: String,
    routing_key: String,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    redelivered: bool,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A subscription over any number of connections.
struct Reader {
    events: Events,
    wanted: String,
    /// Of the last event that was seen.
    last_id: Option<String>,
    connection: Option<Connection>,
    /// Breaks since something was heard last.
    breaks: u32,
}

struct Connection {
    body: BoxStream<'static, Result<Bytes, BoxError>>,
    parser: Parser,
}

/// Why there is no connection.
enum Trouble {
    Call(Error),
    /// The answer began, and was not what it should be.
    Stream(&'static str),
}

impl Reader {
    fn new(events: Events, bindings: &[Binding]) -> Self {
        let bindings = bindings.iter().map(|binding| WantedBinding {
            exchange: &binding.exchange,
            routing_key_pattern: binding.pattern.as_str(),
        });
        let wanted = serde_json::to_string(&Wanted { bindings: bindings.collect() });
        Self {
            events,
            wanted: wanted.expect("texts can be written as JSON"),
            last_id: None,
            connection: None,
            breaks: 0,
        }
    }

    /// Asks for what comes after the last event.
    fn request(&self) -> ConnectRequest {
        let request = self.events.connect().bindings(&self.wanted);
        match &self.last_id {
            Some(id) => request.last_event_id(id),
            None => request,
        }
    }

    /// A connection on which the service has said that it is ready.
    async fn connect(&mut self, request: ConnectRequest) -> Result<(), Trouble> {
        let answer = request.open().await.map_err(Trouble::Call)?;
        let mut connection = Connection { body: answer.into_body().into_stream().boxed(), parser: Parser::default() };
        match connection.next().await {
            Some(ServerEvent { name, id, .. }) if name == "ready" => self.last_id = id.or(self.last_id.take()),
            Some(_) => return Err(Trouble::Stream("the stream of events did not begin with `ready`")),
            None => return Err(Trouble::Stream("the stream of events ended before it began")),
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            let Some(connection) = &mut self.connection else {
                self.reconnect().await?;
                continue;
            };
            let Some(event) = connection.next().await else {
                self.connection = None;
                self.breaks = self.breaks.saturating_add(1);
                continue;
            };
            if let Some(heard) = self.hear(event) {
                return heard;
            }
        }
    }

    fn hear(&mut self, event: ServerEvent) -> Option<Result<Message, BusError>> {
        let ServerEvent { name, id, data, too_long } = event;
        if id.is_some() {
            self.last_id = id;
        }
        match name.as_str() {
            "message" | "lost" if too_long => Some(Err(BusError::Interrupted)),
            "message" => {
                self.breaks = 0;
                Some(read(&data))
            }
            "lost" => Some(Err(BusError::Interrupted)),
            "ping" => {
                self.breaks = 0;
                None
            }
            "error" => {
                tracing::debug!(error = data, "the events service ends the stream");
                None
            }
            // Something of a newer service.
            _ => None,
        }
    }

    /// One attempt, after a pause. An error is what the listener must know of.
    async fn reconnect(&mut self) -> Result<(), BusError> {
        tokio::time::sleep(pause(self.breaks)).await;
        // Without an id nobody can tell what came in between.
        let goes_on = self.last_id.is_some();
        // The pauses between attempts are ours.
        let request = self.request().retries(0).attempt_timeout(CONNECTING);
        let trouble = match self.connect(request).await {
            Ok(()) if !goes_on => return Err(BusError::Interrupted),
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        self.breaks = self.breaks.saturating_add(1);
        match trouble {
            Trouble::Call(error) if !error.is_retryable() => {
                // It may be the id that is refused, by a service that was replaced.
                let bad_request = error.status().is_some_and(|status| status.as_u16() == 400);
                if bad_request && self.last_id.take().is_some() {
                    return Ok(());
                }
                Err(unavailable(Trouble::Call(error)))
            }
            Trouble::Call(error) => {
                tracing::warn!(error = %chain(&error), "cannot listen to events; trying again");
                Ok(())
            }
            Trouble::Stream(message) => {
                tracing::warn!(error = message, "cannot listen to events; trying again");
                Ok(())
            }
        }
    }
}

impl Connection {
    /// The next event; nothing once the connection is of no use any more.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            match self.body.next().await? {
                Ok(piece) => self.parser.feed(&piece),
                Err(error) => {
                    tracing::debug!(error = %chain(&*error), "the stream of events broke off");
                    return None;
                }
            }
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("last_id", &self.last_id).finish_non_exhaustive()
    }
}

fn read(data: &str) -> Result<Message, BusError> {
    let data: Data<'_> = serde_json::from_str(data).map_err(|source| BusError::Malformed {
        exchange: String::new(),
        routing_key: String::new(),
        payload: Bytes::copy_from_slice(data.as_bytes()),
        source,
    })?;
    let payload = Bytes::copy_from_slice(data.payload.get().as_bytes());
    Ok(Message::new(data.exchange, data.routing_key, payload).with_cc(data.cc).with_redelivered(data.redelivered))
}

/// How long to wait before connecting anew: longer with each break, and moved by chance, since a service that ends has
/// all its listeners come back.
fn pause(breaks: u32) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let policy = RetryPolicy::default().with_base(Duration::from_millis(100)).with_cap(Duration::from_secs(10));
    let chance = f64::from(RandomState::new().hash_one(breaks) as u32) / f64::from(u32::MAX);
    policy.with_jitter(0.5).delay(breaks.saturating_sub(1), chance)
}
