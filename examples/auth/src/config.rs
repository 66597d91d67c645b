//! What an operator can set, in a file, in the environment (`TC_AUTH_…`) or by flags; the later wins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_kit::seal::{SealError, Sealer};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::secret::Secret;

use crate::service::sealer_for;
use crate::static_clients::{self, StaticClient, StaticClientError};

/// What a process that is nothing but auth has to be told beside what every service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where clients and roles are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// What access tokens are sealed with: 32 bytes in base64.
    pub token_key: Option<Secret>,
    /// A file with that key, made if there is none. Beside the database where that is a file.
    pub token_key_file: Option<PathBuf>,
    /// What tokens for websocktunnel are signed with; without it there are none.
    pub websocktunnel_secret: Option<Secret>,
    /// Clients that exist by configuration.
    pub static_clients: Vec<StaticClient>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("auth.db".into()),
            token_key: None,
            token_key_file: None,
            websocktunnel_secret: None,
            static_clients: Vec::new(),
        }
    }
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_AUTH";
    const LISTEN: &'static str = "127.0.0.1:8080";
    type Fault = StaticClientError;

    fn check(&self, _: &Common) -> Result<(), StaticClientError> {
        static_clients::check(&self.static_clients)
    }
}

impl Config {
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
    use service_kit::settings::Settings;

    use super::*;

    #[test]
    fn a_file_says_who_is_there_first() {
        let settings: Settings<Config> = Layers::new()
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
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.own.static_clients[0].client_id, "static/taskcluster/root");
        assert!(settings.own.sealer().is_ok());
        assert!(!service_kit::config::shown(&settings).contains("a-token-of"));
        assert!(!format!("{settings:?}").contains("a-token-of"));
    }

    #[test]
    fn an_unknown_key_is_refused_and_its_neighbour_named() {
        let error = Layers::new().text("databse = \"sqlite::memory:\"").load::<Settings<Config>>().unwrap_err();
        assert!(error.to_string().contains("`database`"), "{error}");
    }

    #[test]
    fn a_shared_database_needs_a_key_that_all_know() {
        let config = Config { database: "postgres://db/auth".parse().unwrap(), ..Config::default() };
        assert!(matches!(config.sealer(), Err(SealError::Missing { .. })));
    }
}
