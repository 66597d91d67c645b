//! The publishing end: one connection, one channel, confirms.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString, ShortStringError};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::connection::{connect, declare_exchange, short};
use crate::events::{BusError, Message};

/// How the protocol says that a message shall survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// How often to look whether the broker takes messages again.
const BLOCKED: Duration = Duration::from_millis(100);

pub(super) struct Publisher {
    address: Arc<Address>,
    /// Held while connecting, so that all who wait for a connection get the same one, in the order in which they came.
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
}

impl Publisher {
    pub(super) fn new(address: Arc<Address>) -> Self {
        Self { address, link: tokio::sync::Mutex::default() }
    }

    pub(super) async fn publish(&self, message: &Message, limit: Duration) -> Result<(), BusError> {
        let parts = Parts::of(message).map_err(|source| refused(&message.exchange, source))?;
        let deadline = Instant::now() + limit;
        let link = self.link_by(deadline).await?;
        let done = timeout_at(deadline, link.publish(message, parts)).await;
        self.judge(&link, done).await
    }

    pub(super) async fn declare(&self, exchanges: &[&str], limit: Duration) -> Result<(), BusError> {
        let names = exchanges.iter().map(|name| short(name).map_err(|source| refused(name, source)));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let deadline = Instant::now() + limit;
        let link = self.link_by(deadline).await?;
        for name in &names {
            let done = timeout_at(deadline, link.declare(name)).await;
            self.judge(&link, done.map(|result| result.map_err(Failure::from))).await?;
        }
        Ok(())
    }

    /// What became of something, and whether the connection can still be used.
    async fn judge(&self, link: &Arc<Link>, done: Result<Result<(), Failure>, Elapsed>) -> Result<(), BusError> {
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.give_up(link).await;
                Err(BusError::unavailable(error))
            }
            // What the broker does not read for a while is still on its way, and in order.
            Err(_) if link.connection.status().blocked() => {
                Err(BusError::unavailable("the broker takes no messages now: it is short of memory or disk space"))
            }
            Err(_) => {
                self.give_up(link).await;
                Err(late())
            }
        }
    }

    async fn link_by(&self, deadline: Instant) -> Result<Arc<Link>, BusError> {
        timeout_at(deadline, self.link()).await.map_err(|_| late())?
    }

    async fn link(&self) -> Result<Arc<Link>, BusError> {
        let mut held = self.link.lock().await;
        match &*held {
            Some(link) if link.is_up() => Ok(Arc::clone(link)),
            _ => {
                *held = None;
                let link = Arc::new(Link::open(&self.address).await?);
                *held = Some(Arc::clone(&link));
                Ok(link)
            }
        }
    }

    /// Lets the next message make a new connection, unless that was done already.
    async fn give_up(&self, broken: &Arc<Link>) {
        let mut held = self.link.lock().await;
        if held.as_ref().is_some_and(|link| Arc::ptr_eq(link, broken)) {
            *held = None;
        }
    }

    pub(super) async fn disconnect(&self) {
        *self.link.lock().await = None;
    }
}

fn refused(exchange: &str, source: ShortStringError) -> BusError {
    BusError::Refused { exchange: exchange.to_owned(), source: source.into() }
}

fn late() -> BusError {
    BusError::unavailable("the broker does not confirm in time")
}

/// A message as the protocol wants it.
struct Parts {
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
}

impl Parts {
    fn of(message: &Message) -> Result<Self, ShortStringError> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(PERSISTENT);
        // The broker routes by each of these, too, and limits them as it limits the routing key.
        for key in &message.cc {
            short(key)?;
        }
        let properties = if message.cc.is_empty() {
            properties
        } else {
            let keys: Vec<AMQPValue> =
                message.cc.iter().map(|key| AMQPValue::LongString(key.as_str().into())).collect();
            let mut headers = FieldTable::default();
            headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(keys)));
            properties.with_headers(headers)
        };
        Ok(Self { exchange: short(&message.exchange)?, routing_key: short(&message.routing_key)?, properties })
    }
}

/// A connection in use.
struct Link {
    connection: Connection,
    channel: Channel,
    /// Which exchanges are known to be there.
    declared: Mutex<HashSet<String>>,
}

impl Link {
    async fn open(address: &Address) -> Result<Self, BusError> {
        let connection = connect(address, "publisher").await?;
        let channel = connection.create_channel().await.map_err(BusError::unavailable)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(BusError::unavailable)?;
        Ok(Self { connection, channel, declared: Mutex::default() })
    }

    fn is_up(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    async fn publish(&self, message: &Message, parts: Parts) -> Result<(), Failure> {
        // Else messages would pile up here, and each attempt would add its own.
        while self.connection.status().blocked() {
            tokio::time::sleep(BLOCKED).await;
        }
        let Parts { exchange, routing_key, properties } = parts;
        self.declare(&exchange).await?;
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish(exchange, routing_key, options, &message.payload, properties).await?;
        match sent.await? {
            Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
            Confirmation::Nack(_) => Err(Failure::Nack),
        }
    }

    /// Two may declare the same exchange at once, which does no harm.
    async fn declare(&self, exchange: &ShortString) -> lapin::Result<()> {
        let known = |name: &str| self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if known(exchange.as_str()) {
            return Ok(());
        }
        declare_exchange(&self.channel, exchange.clone(), false).await?;
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(exchange.to_string());
        Ok(())
    }
}

/// Why a message is not with the broker.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Protocol(#[from] lapin::Error),
    #[error("the broker could not keep the message")]
    Nack,
}
