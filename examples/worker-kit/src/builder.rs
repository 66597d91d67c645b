//! A worker with what every worker has.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use taskcluster_worker::plugins::{BackingLog, ChainOfTrust, Entrance, LiveLog};
use taskcluster_worker::tunnel::{TunnelError, TunnelServer};
use taskcluster_worker::{Engine, Identity, PayloadPart, PayloadSchema, Plugin, Worker, WorkerBuilder};
use url::Url;

use crate::config::Base;

impl Base {
    /// A worker with this engine that keeps the logs of its runs, shows them meanwhile, and signs for tasks that ask for it. Listens
    /// for viewers of live logs.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn worker(self, engine: impl Engine) -> Result<WorkerBuilder> {
        let (address, url) = (self.live_log_address, self.live_log_url);
        let (tls, tunnel) = (self.live_log_tls.as_ref(), self.tunnel.as_ref());
        let live_log = LiveLog::at(entrance(address, url, tls, tunnel, &self.identity, "log")?).await;
        let live_log = live_log.with_context(|| format!("cannot serve live logs at {address}"))?;
        let worker = Worker::builder(self.root_url, self.identity, engine, self.settings)
            .credentials(self.credentials)
            .plugin(BackingLog::default().every(self.log_interval))
            .plugin(live_log)
            .plugin(self.chain_of_trust);
        Ok(worker)
    }
}

/// Where viewers of a worker come in for `purpose`: through a tunnel where there is a server for it, else at `address`, which others
/// reach at `base`, by HTTPS where there are a certificate and its key.
///
/// # Errors
/// There can be no such tunnel.
pub fn entrance(
    address: SocketAddr,
    base: Option<Url>,
    tls: Option<&(PathBuf, PathBuf)>,
    tunnel: Option<&TunnelServer>,
    worker: &Identity,
    purpose: &str,
) -> Result<Entrance, TunnelError> {
    let entrance = Entrance::at(address).reached_at(base);
    Ok(match (tunnel, tls) {
        (Some(server), _) => Entrance::through(server.tunnel(worker, purpose)?),
        (None, Some((certificate, key))) => entrance.with_certificate(certificate, key),
        (None, None) => entrance,
    })
}

/// The schema of the payloads of such a worker whose engine and further plugins, each with its name, have these parts of it.
///
/// # Errors
/// Two parts declare the same property.
pub fn payload_schema<'a>(parts: impl IntoIterator<Item = (&'a str, PayloadPart)>) -> Result<Value> {
    let chain_of_trust = ChainOfTrust::new(None);
    let common = [("live-log", LiveLog::payload_part()), (chain_of_trust.name(), chain_of_trust.payload())];
    Ok(PayloadSchema::compose(parts.into_iter().chain(common))?.as_value().clone())
}
