//! What an operator can set, in a file, in the environment (`TC_INDEX_…`) or by flags; the later wins.

use serde::{Deserialize, Serialize};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::secret::Secret;

/// What a process that is nothing but an index has to be told beside what every service is. Its bus is the one to which the
/// queue publishes; `memory:` hears nothing but this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where entries are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// The name of the index's own client.
    pub client_id: String,
    /// The access token of the index's own client, which needs `queue:get-artifact:*` and `queue:get-task:*`.
    pub access_token: Secret,
    /// The durable queue that RabbitMQ keeps for this service. All its processes share it.
    pub bus_queue: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("index.db".into()),
            client_id: String::new(),
            access_token: Secret::from(""),
            bus_queue: "index".to_owned(),
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Nobody to sign links to artifacts.
    #[error("client_id and access_token are needed: links to artifacts are signed with them")]
    NoCredentials,
    /// Nothing would be kept while the service is away.
    #[error("bus_queue must not be empty")]
    BusQueue,
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_INDEX";
    const LISTEN: &'static str = "127.0.0.1:8084";
    type Fault = ConfigFault;

    fn check(&self, _: &Common) -> Result<(), ConfigFault> {
        if self.client_id.is_empty() || self.access_token.expose().is_empty() {
            return Err(ConfigFault::NoCredentials);
        }
        if self.bus_queue.is_empty() {
            return Err(ConfigFault::BusQueue);
        }
        Ok(())
    }
}

impl Config {
    /// The index's own credentials.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.client_id.as_str(), self.access_token.clone())
    }
}

#[cfg(test)]
mod tests {
    use service_kit::config::Layers;
    use service_kit::settings::Settings;

    use super::*;

    #[test]
    fn credentials_are_needed_and_not_shown() {
        assert_eq!(Settings::<Config>::default().check(), Err(ConfigFault::NoCredentials));
        let layers = Layers::new().text("client_id = 'static/taskcluster/index'");
        let layers = layers.variables(Config::VARIABLES, [("TC_INDEX_ACCESS_TOKEN", "hunter2")]);
        let settings: Settings<Config> = layers.load().unwrap();
        assert_eq!(settings.check(), Ok(()));
        assert!(!format!("{settings:?}{}", service_kit::config::shown(&settings)).contains("hunter2"));
    }
}
