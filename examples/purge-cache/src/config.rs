//! What an operator can set, in a file, in the environment (`TC_PURGE_CACHE_…`) or by flags; the later wins.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;

/// What a process that is nothing but a purge-cache service has to be told beside what every service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where requests are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
}

impl Default for Config {
    fn default() -> Self {
        Self { database: Database::Sqlite("purge-cache.db".into()) }
    }
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_PURGE_CACHE";
    const LISTEN: &'static str = "127.0.0.1:8086";
    type Fault = Infallible;

    fn check(&self, _: &Common) -> Result<(), Infallible> {
        Ok(())
    }
}
