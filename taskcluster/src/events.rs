//! Events: what services tell the world, and how to listen.
//!
//! A service publishes a [`Message`] to an exchange under a routing key, such as `primary.<taskId>.0.….<taskGroupId>._`
//! to `exchange/taskcluster-queue/v1/task-completed`. A listener names the exchanges and the patterns of keys that it
//! wants as [`Binding`]s and gets a [`Subscription`], which is a stream. The [`Bus`] between the two is a trait:
//! [`MemoryBus`] serves a process that holds everything, other buses connect processes: `AmqpBus` (feature `amqp`) does it
//! over RabbitMQ.
//!
//! Delivery is **at least once, in no global order**. A message may come twice, and one may come after the state that it
//! tells of has changed again. So take it as a hint to look, and let what you do with it be idempotent.
//!
//! [`listen`] reads the messages of a generated event, such as `queue::events::TaskCompleted`, as their Rust type. Below it
//! messages are just bytes:
//!
//! ```
//! use taskcluster::events::{Binding, Bus, MemoryBus, Message};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), taskcluster::events::BusError> {
//! let bus = MemoryBus::new();
//! let mut completed = bus.subscribe(vec![Binding::new("exchange/example/v1/completed", "primary.#")]).await?;
//!
//! bus.publish(Message::new("exchange/example/v1/completed", "primary.a.0", r#"{"version": 1}"#)).await?;
//!
//! let message = completed.next().await.expect("the bus is open")?;
//! assert_eq!(message.routing_key, "primary.a.0");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use taskcluster_core::routing::Pattern;

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "queue")]
#[doc = include_str!("events/hearing.md")]
pub mod hearing {}
mod hears;
mod listen;
mod memory;
#[cfg(feature = "event_stream")]
mod sse;

#[cfg(feature = "amqp")]
pub use amqp::{AmqpBus, AmqpUrlError};
pub(crate) use hears::Hears;
pub use listen::{Listen, Listener, Received, listen};
pub use memory::MemoryBus;
#[cfg(feature = "event_stream")]
pub use sse::SseBus;
pub use taskcluster_core::operation::{Event, EventPattern};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One message as a bus carries it.
///
/// Equality ignores nothing: a redelivered message differs from its first delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Full name of the exchange, such as `exchange/taskcluster-queue/v1/task-completed`.
    pub exchange: String,
    /// The routing key: words joined by dots.
    pub routing_key: String,
    /// Further keys under which the message is routed, such as `route.index.my.name`.
    pub cc: Vec<String>,
    /// The body, JSON in UTF-8.
    pub payload: Bytes,
    /// Whether the bus knows that it delivered this message before. `false` is no promise.
    pub redelivered: bool,
}

impl Message {
    /// A message with one routing key.
    pub fn new(exchange: impl Into<String>, routing_key: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            cc: Vec::new(),
            payload: payload.into(),
            redelivered: false,
        }
    }

    /// Adds further routing keys.
    #[must_use]
    pub fn with_cc(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.cc.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Marks the message as delivered before.
    #[must_use]
    pub fn with_redelivered(mut self, redelivered: bool) -> Self {
        self.redelivered = redelivered;
        self
    }

    /// All keys under which the message is routed: the routing key first, then the carbon copies.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.routing_key.as_str()).chain(self.cc.iter().map(String::as_str))
    }

    /// Whether one of the message's keys, in its exchange, fits the binding.
    pub fn fits(&self, binding: &Binding) -> bool {
        self.exchange == binding.exchange && self.keys().any(|key| binding.pattern.matches(key))
    }
}

/// Which messages of one exchange a listener wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Binding {
    /// Full name of the exchange.
    pub exchange: String,
    /// Pattern of routing keys: words joined by dots, where `*` is any one word and `#` any number of words.
    pub pattern: Pattern,
}

impl Binding {
    /// The messages of `exchange` whose key fits `pattern`.
    pub fn new(exchange: impl Into<String>, pattern: impl Into<Pattern>) -> Self {
        Self { exchange: exchange.into(), pattern: pattern.into() }
    }

    /// All messages of `exchange`.
    pub fn everything(exchange: impl Into<String>) -> Self {
        Self::new(exchange, Pattern::all())
    }
}

/// Something that carries messages from publishers to listeners.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// Hands one message to the bus.
    ///
    /// When this returns `Ok`, the bus has taken the message over; when it fails, the message may or may not be
    /// delivered, so that publishing it again is right.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] if the bus cannot be reached, [`BusError::Closed`] if it has been closed,
    /// [`BusError::Refused`] for a message that it never takes.
    async fn publish(&self, message: Message) -> Result<(), BusError>;

    /// Makes exchanges known before anything is published to them, so that listeners of any kind can bind to them. A bus
    /// on which one can listen to every exchange at any time has nothing to do.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    async fn declare(&self, _exchanges: &[&str]) -> Result<(), BusError> {
        Ok(())
    }

    /// Listens to all messages that fit one of the bindings, from now on.
    ///
    /// A message that fits several bindings is delivered once. When this returns, the subscription is in place: a message
    /// published afterwards is not missed.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    async fn subscribe(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError>;

    /// The same for somebody who listens for a while and alone, whatever the bus was told of those who
    /// [subscribe](Self::subscribe): what others would get is not taken from them, and nothing of it stays.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    async fn subscribe_alone(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        self.subscribe(bindings).await
    }
}

/// A stream of messages; dropping it ends the subscription.
///
/// A bus with acknowledgements takes the request for the next message as the acknowledgement of the one before: a message
/// whose handling was cut off comes again.
pub struct Subscription {
    messages: BoxStream<'static, Result<Message, BusError>>,
}

impl Subscription {
    /// Wraps what a bus delivers. For those who write a bus.
    pub fn new(messages: impl Stream<Item = Result<Message, BusError>> + Send + 'static) -> Self {
        Self { messages: messages.boxed() }
    }

    /// The next message, or `None` once the bus is closed.
    ///
    /// # Errors
    /// [`BusError::Lagged`] and [`BusError::Interrupted`] say that messages were lost, or may have been; the subscription
    /// goes on.
    ///
    /// # Cancel safety
    /// No message is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<Message, BusError>> {
        self.messages.next().await
    }
}

impl Stream for Subscription {
    type Item = Result<Message, BusError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_next_unpin(context)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Why a bus did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The listener was too slow and the bus dropped messages. What follows is complete again: look at the state itself
    /// once, then go on listening.
    #[error("the listener was too slow: {missed} messages were dropped")]
    Lagged {
        /// How many messages were dropped.
        missed: u64,
    },
    /// The connection was lost and is there again; messages that came in between may have been missed. What follows is
    /// complete again, as after [`Lagged`](Self::Lagged).
    #[error("the connection to the bus was lost for a while: messages may have been missed")]
    Interrupted,
    /// The bus cannot be reached now.
    #[error("the bus is not available")]
    Unavailable {
        /// What the connection says.
        #[source]
        source: BoxError,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
    /// A message's body is not what its exchange promises. The subscription goes on.
    #[error("a message of {exchange} with key {routing_key} cannot be read")]
    Malformed {
        /// The exchange that it came from.
        exchange: String,
        /// Its routing key.
        routing_key: String,
        /// The body as it came.
        payload: Bytes,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The bus will never take this message, however often it is published.
    #[error("a message of {exchange} cannot be published")]
    Refused {
        /// The exchange that it was for.
        exchange: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
}

impl BusError {
    /// Whether listening just goes on: this stands for messages that cannot be given, and the next ones come.
    pub fn goes_on(&self) -> bool {
        self.may_have_missed() || matches!(self, Self::Malformed { .. })
    }

    /// Whether a listener may have missed messages: the time to look at the state itself.
    pub fn may_have_missed(&self) -> bool {
        matches!(self, Self::Lagged { .. } | Self::Interrupted)
    }

    #[cfg(feature = "amqp")]
    fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { source: source.into() }
    }
}
