//! What an operator can set, in a file, in the environment (`TC_QUEUE_…`) or by flags; the later wins.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_kit::blobs::{Location, base_url};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::secret::Secret;
use url::Url;

use crate::api;
use crate::definition::Limits;

/// What a process that is nothing but a queue has to be told beside what every service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where tasks are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// The name of the queue's own client.
    pub client_id: String,
    /// The access token of the queue's own client. The credentials of tasks are made from it.
    pub access_token: Secret,
    /// Where the bytes of artifacts are kept: a folder, or `s3://bucket?public_bucket=…` as [`Location`] says.
    pub blobs: Location,
    /// Where callers reach those bytes; `/blobs` of the root URL if nothing is said.
    pub blobs_url: Option<String>,
    /// Signs the URLs of those bytes. Without it the URLs end with the process.
    pub blobs_secret: Option<Secret>,
    /// Whether the deployment has an object service, so that artifacts can be objects. It is called as the queue's client.
    pub object_service: bool,
    /// How long a claim lasts unless it is renewed.
    pub claim_timeout_seconds: u64,
    /// How long after its deadline a task is given up.
    pub deadline_delay_seconds: u64,
    /// How many dependencies a task may have.
    pub max_dependencies: usize,
    /// How many days ahead a deadline may be.
    pub max_deadline_days: u64,
}

impl Default for Config {
    fn default() -> Self {
        let settings = api::Settings::default();
        Self {
            database: Database::Sqlite("queue.db".into()),
            client_id: String::new(),
            access_token: Secret::from(""),
            blobs: Location::Folder("queue-blobs".into()),
            blobs_url: None,
            blobs_secret: None,
            object_service: false,
            claim_timeout_seconds: settings.claim_timeout.as_secs(),
            deadline_delay_seconds: settings.deadline_delay.as_secs(),
            max_dependencies: settings.limits.max_dependencies,
            max_deadline_days: settings.limits.max_deadline_days,
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Nobody to make the tasks' credentials.
    #[error("client_id and access_token are needed: the credentials of tasks are made from them")]
    NoCredentials,
    /// A URL is none.
    #[error("{0:?} is not a URL such as https://tc.example")]
    Url(String),
    /// Claims that end at once.
    #[error("claim_timeout_seconds must be at least 1")]
    ClaimTimeout,
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_QUEUE";
    const LISTEN: &'static str = "127.0.0.1:8081";
    type Fault = ConfigFault;

    fn check(&self, common: &Common) -> Result<(), ConfigFault> {
        if self.client_id.is_empty() || self.access_token.expose().is_empty() {
            return Err(ConfigFault::NoCredentials);
        }
        if self.claim_timeout_seconds == 0 {
            return Err(ConfigFault::ClaimTimeout);
        }
        self.blobs_base(&common.root_url).map(|_| ())
    }
}

impl Config {
    /// The queue's own credentials.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.client_id.as_str(), self.access_token.clone())
    }

    /// Where the bytes of artifacts are reached in a deployment with this root URL.
    ///
    /// # Errors
    /// A URL is none.
    pub fn blobs_base(&self, root_url: &str) -> Result<Url, ConfigFault> {
        base_url(self.blobs_url.as_deref(), root_url, "/blobs").map_err(ConfigFault::Url)
    }

    /// How the queue shall behave.
    #[must_use]
    pub fn settings(&self) -> api::Settings {
        api::Settings {
            claim_timeout: Duration::from_secs(self.claim_timeout_seconds),
            deadline_delay: Duration::from_secs(self.deadline_delay_seconds),
            limits: Limits { max_dependencies: self.max_dependencies, max_deadline_days: self.max_deadline_days },
            ..api::Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::config::Layers;
    use service_kit::settings::Settings;

    #[test]
    fn flags_and_variables_reach_the_settings() {
        let layers = Layers::new()
            .text("client_id = 'static/queue'\naccess_token = 'secret'")
            .variables(Config::VARIABLES, [("TC_QUEUE_CLAIM_TIMEOUT_SECONDS", "60")])
            .flag("database", "sqlite::memory:");
        let settings: Settings<Config> = layers.load().unwrap();
        settings.check().unwrap();
        let config = &settings.own;
        assert_eq!(config.settings().claim_timeout, Duration::from_secs(60));
        assert_eq!(config.database, Database::Memory);
        let base = config.blobs_base(&settings.common.root_url).unwrap();
        assert_eq!(base.as_str(), "http://127.0.0.1:8080/blobs");
        assert!(!format!("{settings:?}").contains("secret\""), "the token is shown");
    }

    #[test]
    fn credentials_are_needed() {
        assert!(matches!(Settings::<Config>::default().check(), Err(ConfigFault::NoCredentials)));
    }
}
