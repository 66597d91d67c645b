//! What an operator can set, in a file, in the environment (`TC_SCHEDULER_…`) or by flags; the later wins.

use serde::{Deserialize, Serialize};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::secret::Secret;

use crate::service::SCHEDULER_ID;

/// What a process that is nothing but a scheduler has to be told beside what every service is. Its bus is the one to which the
/// queue publishes; with `memory:` it hears nothing but this process, and asks the queue every few minutes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where graphs are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// The name of the scheduler's own client.
    pub client_id: String,
    /// The access token of the scheduler's own client. Tasks are created with the scopes of their graph alone, and those must
    /// be among the client's.
    pub access_token: Secret,
    /// The scheduler's identifier: the `schedulerId` of its tasks. Schedulers beside each other need different ones.
    pub scheduler_id: String,
    /// The durable queue that RabbitMQ keeps for this service. All its processes share it.
    pub bus_queue: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("scheduler.db".into()),
            client_id: String::new(),
            access_token: Secret::from(""),
            scheduler_id: SCHEDULER_ID.to_owned(),
            bus_queue: "scheduler".to_owned(),
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Nobody to create tasks.
    #[error("client_id and access_token are needed: tasks are created with them")]
    NoCredentials,
    /// No name for the queue.
    #[error("bus_queue must not be empty")]
    BusQueue,
    /// The queue takes no such identifier.
    #[error("scheduler_id must be 1 to 38 letters, digits, dashes and underscores")]
    SchedulerId,
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_SCHEDULER";
    const LISTEN: &'static str = "127.0.0.1:8087";
    type Fault = ConfigFault;

    fn check(&self, _: &Common) -> Result<(), ConfigFault> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=38).contains(&self.scheduler_id.len()) || !self.scheduler_id.chars().all(allowed) {
            return Err(ConfigFault::SchedulerId);
        }
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
    /// The scheduler's own credentials.
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
        let layers = Layers::new().text("client_id = 'static/taskcluster/scheduler'");
        let layers = layers.variables(Config::VARIABLES, [("TC_SCHEDULER_ACCESS_TOKEN", "hunter2")]);
        let settings: Settings<Config> = layers.load().unwrap();
        assert_eq!(settings.check(), Ok(()));
        assert!(!format!("{settings:?}{}", service_kit::config::shown(&settings)).contains("hunter2"));
    }

    #[test]
    fn an_identifier_that_the_queue_does_not_take_is_refused() {
        for id in ["", "two words", &"x".repeat(39)] {
            let layers = Layers::new().text(&format!("scheduler_id = '{id}'"));
            let settings: Settings<Config> = layers.load().unwrap();
            assert_eq!(settings.check(), Err(ConfigFault::SchedulerId), "{id:?}");
        }
    }
}
