//! Connections to the broker.

use std::time::Duration;

use lapin::options::ExchangeDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use super::address::Address;
use crate::events::BusError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Connects, as what `role` says in the broker's list of connections.
pub(super) async fn connect(address: &Address, role: &str) -> Result<Connection, BusError> {
    let program = std::env::current_exe().ok();
    let program = program
        .as_deref()
        .and_then(|path| path.file_name())
        .map_or("taskcluster".into(), |name| name.to_string_lossy());
    let properties = ConnectionProperties::default().with_connection_name(format!("{program} ({role})").into());
    tokio::time::timeout(CONNECT, Connection::connect_uri(address.uri(), properties))
        .await
        .map_err(|_| BusError::unavailable("the broker does not answer"))?
        .map_err(BusError::unavailable)
}

/// A name as the protocol takes it: up to 255 bytes.
pub(super) fn short(text: &str) -> Result<ShortString, lapin::types::ShortStringError> {
    ShortString::try_new(text)
}

/// Declares an exchange as TaskCluster's are: topic, durable.
pub(super) async fn declare_exchange(channel: &Channel, exchange: ShortString, passive: bool) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, passive, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange, ExchangeKind::Topic, options, FieldTable::default()).await
}
