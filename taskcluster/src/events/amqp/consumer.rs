//! The listening end: a connection, a queue, and what to do when either is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream;
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::sync::watch;

use super::address::Address;
use super::connection::{connect, declare_exchange, short};
use crate::events::{Binding, BusError, Message};

/// From the first attempt to connect again to the second; each further one waits twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// The longest time between two attempts.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// The queue that a listener reads from.
pub(super) struct Queue {
    name: String,
    durable: bool,
}

impl Queue {
    /// One that ends with its connection, under a name that nobody else has.
    pub(super) fn exclusive(user: &str) -> Self {
        Self { name: format!("queue/{user}/exclusive/{}", taskcluster_core::ids::TaskId::new()), durable: false }
    }

    /// One that stays.
    pub(super) fn durable(user: &str, name: &str) -> Self {
        Self { name: format!("queue/{user}/{name}"), durable: true }
    }

    fn options(&self) -> QueueDeclareOptions {
        QueueDeclareOptions {
            durable: self.durable,
            exclusive: !self.durable,
            auto_delete: !self.durable,
            ..QueueDeclareOptions::default()
        }
    }

    /// Durable ones are replicated, as TaskCluster's services have them.
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        if self.durable {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        arguments
    }
}

/// What a subscription is, apart from the connection that it has at the moment.
pub(super) struct Consumer {
    address: Arc<Address>,
    queue: Queue,
    bindings: Vec<Binding>,
    prefetch: u16,
    limit: Duration,
}

impl Consumer {
    pub(super) fn new(
        address: Arc<Address>,
        queue: Queue,
        bindings: Vec<Binding>,
        prefetch: u16,
        limit: Duration,
    ) -> Self {
        Self { address, queue, bindings, prefetch, limit }
    }

    /// Puts the subscription in place, and gives its messages until the bus is closed.
    pub(super) async fn start(
        self,
        closed: watch::Receiver<bool>,
    ) -> Result<impl Stream<Item = Result<Message, BusError>> + Send + 'static, BusError> {
        let link = Some(self.open().await?);
        let listening = Listening { consumer: self, link, closed };
        Ok(stream::unfold(listening, Listening::next))
    }

    async fn open(&self) -> Result<Link, BusError> {
        let open = async {
            let connection = connect(&self.address, "listener").await?;
            self.declare_exchanges(&connection).await?;
            let existed = self.queue_exists(&connection).await?;
            let channel = connection.create_channel().await.map_err(BusError::unavailable)?;
            let deliveries = self.consume(&channel).await.map_err(BusError::unavailable)?;
            Ok(Link { _connection: connection, _channel: channel, deliveries, handled: None, existed })
        };
        let late = || BusError::unavailable(format!("no subscription within {:?}", self.limit));
        tokio::time::timeout(self.limit, open).await.map_err(|_| late())?
    }

    /// So that one can listen before anything was published. Whoever may not declare an exchange can still listen to one that
    /// is there.
    async fn declare_exchanges(&self, connection: &Connection) -> Result<(), BusError> {
        let mut names: Vec<&str> = self.bindings.iter().map(|binding| binding.exchange.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut looking = None;
        for name in names {
            let exchange = short(name).map_err(BusError::unavailable)?;
            let channel = match looking.take() {
                Some(channel) => channel,
                None => connection.create_channel().await.map_err(BusError::unavailable)?,
            };
            if declare_exchange(&channel, exchange.clone(), true).await.is_ok() {
                looking = Some(channel);
                continue;
            }
            // The broker closes a channel on which something was not found.
            let channel = connection.create_channel().await.map_err(BusError::unavailable)?;
            declare_exchange(&channel, exchange, false).await.map_err(BusError::unavailable)?;
            looking = Some(channel);
        }
        Ok(())
    }

    /// Whether nothing was missed: a durable queue was there all the time.
    async fn queue_exists(&self, connection: &Connection) -> Result<bool, BusError> {
        if !self.queue.durable {
            return Ok(false);
        }
        let channel = connection.create_channel().await.map_err(BusError::unavailable)?;
        let name = short(&self.queue.name).map_err(BusError::unavailable)?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        Ok(channel.queue_declare(name, options, FieldTable::default()).await.is_ok())
    }

    async fn consume(&self, channel: &Channel) -> Result<lapin::Consumer, Box<dyn std::error::Error + Send + Sync>> {
        let Queue { name, .. } = &self.queue;
        let name = short(name)?;
        channel.queue_declare(name.clone(), self.queue.options(), self.queue.arguments()).await?;
        for binding in &self.bindings {
            let (exchange, pattern) = (short(&binding.exchange)?, short(binding.pattern.as_str())?);
            let options = QueueBindOptions::default();
            channel.queue_bind(name.clone(), exchange, pattern, options, FieldTable::default()).await?;
        }
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
        Ok(channel.basic_consume(name, tag, options, FieldTable::default()).await?)
    }
}

/// A connection in use. Ending it gives back to the queue what was not acknowledged.
struct Link {
    deliveries: lapin::Consumer,
    /// Acknowledges the message that was given last.
    handled: Option<Acker>,
    existed: bool,
    _channel: Channel,
    _connection: Connection,
}

impl Link {
    /// The next message, nothing if the connection, the channel or the queue is gone. Asking for it acknowledges the one before;
    /// if that is lost, the message comes again.
    async fn next(&mut self) -> Option<Delivery> {
        let handled = self.handled.take();
        let acknowledged = async {
            if let Some(acker) = handled {
                let _ = acker.ack(BasicAckOptions::default()).await;
            }
            std::future::pending().await
        };
        // Both at once, since only the deliveries end with the connection: an acknowledgement that was on its way then waits for ever.
        let delivery = tokio::select! {
            biased;
            never = acknowledged => never,
            delivery = self.deliveries.next() => delivery?.ok()?,
        };
        self.handled = Some(delivery.acker.clone());
        Some(delivery)
    }
}

/// A subscription at work.
struct Listening {
    consumer: Consumer,
    link: Option<Link>,
    closed: watch::Receiver<bool>,
}

impl Listening {
    async fn next(mut self) -> Option<(Result<Message, BusError>, Self)> {
        let mut closed = self.closed.clone();
        let item = tokio::select! {
            biased;
            // The sender of a bus whose handles are all gone is gone, too; the subscription goes on.
            Ok(_) = closed.wait_for(|closed| *closed) => None,
            item = self.receive() => Some(item),
        };
        Some((item?, self))
    }

    async fn receive(&mut self) -> Result<Message, BusError> {
        loop {
            let Some(link) = &mut self.link else {
                let link = self.reconnect().await;
                let missed_nothing = link.existed;
                self.link = Some(link);
                if missed_nothing {
                    continue;
                }
                return Err(BusError::Interrupted);
            };
            if let Some(delivery) = link.next().await {
                return Ok(message(delivery));
            }
            self.link = None;
        }
    }

    async fn reconnect(&self) -> Link {
        let mut wait = FIRST_RETRY;
        loop {
            match self.consumer.open().await {
                Ok(link) => return link,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a subscription waits for the broker")
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_RETRY);
        }
    }
}

fn message(delivery: Delivery) -> Message {
    let cc = delivery.properties.headers().as_ref().map(further_keys).unwrap_or_default();
    let (exchange, routing_key) = (delivery.exchange.to_string(), delivery.routing_key.to_string());
    Message::new(exchange, routing_key, Bytes::from(delivery.data)).with_cc(cc).with_redelivered(delivery.redelivered)
}

/// The header is everybody's to write: what is no text is left out.
fn further_keys(headers: &FieldTable) -> Vec<String> {
    let Some(AMQPValue::FieldArray(keys)) = headers.inner().get("CC") else { return Vec::new() };
    let text = |key: &AMQPValue| match key {
        AMQPValue::LongString(key) => Some(String::from_utf8_lossy(key.as_bytes()).into_owned()),
        AMQPValue::ShortString(key) => Some(key.to_string()),
        _ => None,
    };
    keys.as_slice().iter().filter_map(text).collect()
}
