//! A bus over RabbitMQ.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use self::address::Address;
use self::consumer::{Consumer, Queue};
use self::publisher::Publisher;
use super::{Binding, Bus, BusError, Message, Subscription};

mod address;
mod connection;
mod consumer;
mod publisher;

pub use address::AmqpUrlError;

/// How many messages a listener is sent before it has acknowledged the first of them; as many as TaskCluster's services take.
const PREFETCH: u16 = 5;

/// How long publishing or subscribing may take as a whole, as for TaskCluster's services.
const LIMIT: Duration = Duration::from_secs(30);

/// A bus over RabbitMQ, which connects processes.
///
/// Cloning gives another handle to the same bus. It connects when it is first used, and again whenever the connection was
/// lost; publishers and listeners have connections of their own, since the broker stops reading from those who publish when
/// it is short of memory.
///
/// **Publishing.** Exchanges are declared as TaskCluster does it (topic, durable), messages are persistent JSON with further
/// routing keys in the header `CC`, and [`publish`](Bus::publish) returns once the broker has confirmed the message. Many may
/// be on their way at once. Whatever keeps the broker from confirming within [the limit](Self::with_limit) is
/// [`BusError::Unavailable`], and the next message tries again.
///
/// **Listening.** By default a subscription has a queue that nobody else sees and that ends with it. Should the connection
/// be lost, the subscription makes a new one with the same bindings, and says [`BusError::Interrupted`] once it is in place.
/// [`with_queue`](Self::with_queue) listens by a durable queue instead, which keeps messages while nobody listens. In both, the
/// request for the next message acknowledges the one before; what was not acknowledged comes again.
///
/// ```no_run
/// use taskcluster::events::{AmqpBus, Binding, Bus};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = AmqpBus::new("amqp://user:password@rabbitmq.example/vhost")?.with_queue("finished").with_prefetch(20);
/// let mut completed = bus.subscribe(vec![Binding::everything("exchange/taskcluster-queue/v1/task-completed")]).await?;
/// while let Some(message) = completed.next().await {
///     println!("{}", message?.routing_key);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AmqpBus {
    address: Arc<Address>,
    publisher: Arc<Publisher>,
    closed: watch::Sender<bool>,
    queue: Option<String>,
    prefetch: u16,
    limit: Duration,
}

impl AmqpBus {
    /// A bus at this URL, such as `amqp://user:password@host:5672/vhost`. Nothing is connected yet.
    ///
    /// Without a path, or with `/` alone, the virtual host is `/`; `amqps://` takes the feature `amqps`. Of the query,
    /// `heartbeat` (in seconds, 30 unless said), `frame_max` and `channel_max` are known.
    ///
    /// # Errors
    /// When that is not such a URL.
    pub fn new(url: &str) -> Result<Self, AmqpUrlError> {
        let address = Arc::new(Address::parse(url)?);
        let publisher = Arc::new(Publisher::new(Arc::clone(&address)));
        let closed = watch::Sender::new(false);
        Ok(Self { address, publisher, closed, queue: None, prefetch: PREFETCH, limit: LIMIT })
    }

    /// Whose subscriptions read from the durable queue `queue/<user>/<name>`, made when it is not there.
    ///
    /// It holds messages while nobody listens, so that none is missed, and until somebody deletes it: so use a name again
    /// and again. Several who listen by the same name share its messages. A binding stays for good, too: listen to other
    /// messages by another name. Who waits for tasks by this bus has a queue of their own.
    #[must_use]
    pub fn with_queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// Whose subscriptions are sent up to `messages` in advance: five unless said.
    ///
    /// # Panics
    /// If `messages` is zero, which for RabbitMQ is no limit at all.
    #[must_use]
    pub fn with_prefetch(mut self, messages: u16) -> Self {
        assert!(messages > 0, "without a limit a listener is sent everything there is");
        self.prefetch = messages;
        self
    }

    /// Which takes this long to publish a message, or to subscribe, before it says that the bus is not available: 30
    /// seconds unless said.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Ends all subscriptions, those of other handles too, and refuses what is published from now on.
    pub async fn close(&self) {
        self.closed.send_replace(true);
        self.publisher.disconnect().await;
    }

    async fn consume(&self, queue: Queue, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        self.ensure_open()?;
        let consumer = Consumer::new(Arc::clone(&self.address), queue, bindings, self.prefetch, self.limit);
        Ok(Subscription::new(consumer.start(self.closed.subscribe()).await?))
    }

    fn ensure_open(&self) -> Result<(), BusError> {
        if *self.closed.borrow() { Err(BusError::Closed) } else { Ok(()) }
    }
}

#[async_trait]
impl Bus for AmqpBus {
    async fn publish(&self, message: Message) -> Result<(), BusError> {
        self.ensure_open()?;
        self.publisher.publish(&message, self.limit).await
    }

    async fn declare(&self, exchanges: &[&str]) -> Result<(), BusError> {
        self.ensure_open()?;
        self.publisher.declare(exchanges, self.limit).await
    }

    async fn subscribe(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        let durable = self.queue.as_ref().map(|name| Queue::durable(self.address.user(), name));
        self.consume(durable.unwrap_or_else(|| Queue::exclusive(self.address.user())), bindings).await
    }

    async fn subscribe_alone(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        self.consume(Queue::exclusive(self.address.user()), bindings).await
    }
}

/// Without the password.
impl fmt::Debug for AmqpBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBus").field("at", &self.address).field("queue", &self.queue).finish_non_exhaustive()
    }
}
