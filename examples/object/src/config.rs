//! What an operator can set, in a file, in the environment (`TC_OBJECT_…`) or by flags; the later wins.

use serde::{Deserialize, Serialize};
use service_kit::blobs::{Location, base_url};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::secret::Secret;
use url::Url;

/// What a process that is nothing but an object service has to be told beside what every service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where it is kept what objects there are: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// Where their data is kept: a folder that no other process uses, or `s3://bucket` as [`Location`] says.
    pub blobs: Location,
    /// Where callers reach that data, if it is in a folder; `/objects` of the root URL if nothing is said.
    pub blobs_url: Option<String>,
    /// Signs the URLs of that data. Without it the URLs end with the process.
    pub blobs_secret: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("object.db".into()),
            blobs: Location::Folder("object-blobs".into()),
            blobs_url: None,
            blobs_secret: None,
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// A URL is none.
    #[error("{0:?} is not a URL such as https://tc.example")]
    Url(String),
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_OBJECT";
    const LISTEN: &'static str = "127.0.0.1:8085";
    type Fault = ConfigFault;

    fn check(&self, common: &Common) -> Result<(), ConfigFault> {
        self.blobs_base(&common.root_url).map(|_| ())
    }
}

impl Config {
    /// Where the data is reached in a deployment with this root URL.
    ///
    /// # Errors
    /// A URL is none.
    pub fn blobs_base(&self, root_url: &str) -> Result<Url, ConfigFault> {
        base_url(self.blobs_url.as_deref(), root_url, "/objects").map_err(ConfigFault::Url)
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
            .text("blobs = 's3://bucket'")
            .variables(Config::VARIABLES, [("TC_OBJECT_BLOBS_SECRET", "hidden-secret")])
            .flag("database", "sqlite::memory:");
        let settings: Settings<Config> = layers.load().unwrap();
        settings.check().unwrap();
        assert_eq!(settings.own.database, Database::Memory);
        assert!(matches!(settings.own.blobs, Location::S3(_)));
        let base = settings.own.blobs_base(&settings.common.root_url).unwrap();
        assert_eq!(base.as_str(), "http://127.0.0.1:8080/objects");
        assert!(!format!("{settings:?}").contains("hidden"), "the secret is shown");
    }

    #[test]
    fn urls_are_looked_at_before_the_start() {
        let settings: Settings<Config> = Layers::new().flag("blobs_url", "here").load().unwrap();
        assert!(matches!(settings.check(), Err(ConfigFault::Url(_))));
    }
}
