//! A worker with what every worker has.

use anyhow::{Context, Result};
use serde_json::Value;
use taskcluster_worker::plugins::{BackingLog, ChainOfTrust, LiveLog};
use taskcluster_worker::{Engine, PayloadPart, PayloadSchema, Plugin, Worker, WorkerBuilder};

use crate::config::Base;

impl Base {
    /// A worker with this engine that keeps the logs of its runs, shows them meanwhile, and signs for tasks that ask for it. Listens
    /// for viewers of live logs.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn worker(self, engine: impl Engine) -> Result<WorkerBuilder> {
        let (address, url) = (self.live_log_address, self.live_log_url);
        let live_log = match (&self.tunnel, &self.live_log_tls) {
            (Some(server), _) => LiveLog::bind_tunnel(server.tunnel(&self.identity, "log")?).await,
            (None, Some((certificate, key))) => LiveLog::bind_tls(address, url, certificate, key).await,
            (None, None) => LiveLog::bind(address, url).await,
        };
        let live_log = live_log.with_context(|| format!("cannot serve live logs at {address}"))?;
        let worker = Worker::builder(self.root_url, self.identity, engine, self.settings)
            .credentials(self.credentials)
            .plugin(BackingLog::default().every(self.log_interval))
            .plugin(live_log)
            .plugin(self.chain_of_trust);
        Ok(worker)
    }
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
