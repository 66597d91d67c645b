//! What an operator can set, in a file, in the environment (`TC_AUTH_…`) or by flags; the later wins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_kit::bus::BusUrl;
use service_kit::store::Database;
use service_kit::telemetry::LogFormat;
use taskcluster_core::secret::Secret;

use crate::seal::{SealError, Sealer};
use crate::service::sealer_for;
use crate::static_clients::{self, StaticClient, StaticClientError};

/// The prefix of variables in the environment.
pub const VARIABLES: &str = "TC_AUTH";

/// The settings of a process that is nothing but auth.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The root URL of the deployment, as callers know it.
    pub root_url: String,
    /// The address to listen at.
    pub listen: String,
    /// Where clients and roles are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// Where events go: `memory:`, or `amqp://…` for RabbitMQ.
    pub bus: BusUrl,
    /// What access tokens are sealed with: 32 bytes in base64.
    pub token_key: Option<Secret>,
    /// A file with that key, made if there is none. Beside the database where that is a file.
    pub token_key_file: Option<PathBuf>,
    /// What tokens for websocktunnel are signed with; without it there are none.
    pub websocktunnel_secret: Option<Secret>,
    /// How log lines look: `text` or `json`.
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `info,taskcluster_auth=debug`.
    pub log: String,
    /// Clients that exist by configuration.
    pub static_clients: Vec<StaticClient>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root_url: "http://127.0.0.1:8080".to_owned(),
            listen: "127.0.0.1:8080".to_owned(),
            database: Database::Sqlite("auth.db".into()),
            bus: BusUrl::default(),
            token_key: None,
            token_key_file: None,
            websocktunnel_secret: None,
            log_format: LogFormat::default(),
            log: "info".to_owned(),
            static_clients: Vec::new(),
        }
    }
}

impl Config {
    /// Whether a service could start with it, as far as that can be told without starting one.
    ///
    /// # Errors
    /// The first static client that cannot be.
    pub fn check(&self) -> Result<(), StaticClientError> {
        static_clients::check(&self.static_clients)
    }

    /// What access tokens are sealed with.
    ///
    /// # Errors
    /// When the key is not one, its file cannot be read or made, or there is no place for it.
    pub fn sealer(&self) -> Result<Sealer, SealError> {
        match &self.token_key {
            Some(key) => Sealer::from_base64(key),
            None => sealer_for(&self.database, self.token_key_file.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use service_kit::config::Layers;

    use super::*;

    #[test]
    fn a_file_says_who_is_there_first() {
        let config: Config = Layers::new()
            .text(
                r#"
                database = "sqlite::memory:"
                [[static_clients]]
                client_id = "static/taskcluster/root"
                access_token = "a-token-of-22-to-66-characters"
                "#,
            )
            .load()
            .unwrap();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.static_clients[0].client_id, "static/taskcluster/root");
        assert!(config.sealer().is_ok());
        assert!(!service_kit::config::shown(&config).contains("a-token-of"));
        assert!(!format!("{config:?}").contains("a-token-of"));
    }

    #[test]
    fn an_unknown_key_is_refused_and_its_neighbour_named() {
        let error = Layers::new().text("databse = \"sqlite::memory:\"").load::<Config>().unwrap_err();
        assert!(error.to_string().contains("`database`"), "{error}");
    }

    #[test]
    fn a_shared_database_needs_a_key_that_all_know() {
        let config = Config { database: "postgres://db/auth".parse().unwrap(), ..Config::default() };
        assert!(matches!(config.sealer(), Err(SealError::Missing)));
    }
}
