//! What an operator can set, in a file, in the environment (`TC_PROVISIONER_…`) or by flags; the later wins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::secret::Secret;

use crate::provider::Providers;
#[cfg(feature = "docker")]
use crate::provider::docker::{self, AddressError, Docker};
use crate::provider::local_process::LocalProcess;

/// What a process that is nothing but a provisioner has to be told beside what every service is. With the bus `memory:` it hears nothing,
/// looks every ten seconds, and knows no waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where worker types and instances are kept: `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub database: Database,
    /// The name of the provisioner's own client.
    pub client_id: String,
    /// The access token of the provisioner's own client. The credentials of workers are made from it, and have no scopes that it has
    /// not.
    pub access_token: Secret,
    /// The provisioner's identifier: the first half of the names of its task queues. Provisioners beside each other need different ones.
    pub provisioner_id: String,
    /// Worker types of the kind `local-process`: the folder of their processes. Without it there are none.
    pub process_folder: Option<PathBuf>,
    /// The programs that such worker types may name, by the word for each.
    pub programs: BTreeMap<String, PathBuf>,
    /// Worker types of the kind `docker`: where their engine listens, `unix://PATH` or `tcp://HOST:PORT`. Empty: there are none.
    #[cfg(feature = "docker")]
    pub docker: String,
    /// Directories of the engine's machine: what is in one of them may be shown in containers.
    #[cfg(feature = "docker")]
    pub docker_volumes: Vec<String>,
    /// The engine's network for containers, or `host`; empty for the engine's own bridge.
    #[cfg(feature = "docker")]
    pub docker_network: String,
    /// Names that containers know besides, each `NAME:ADDRESS`; as address, `host-gateway` is the engine's machine.
    #[cfg(feature = "docker")]
    pub docker_hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("provisioner.db".into()),
            client_id: String::new(),
            access_token: Secret::from(""),
            provisioner_id: String::new(),
            process_folder: None,
            programs: BTreeMap::new(),
            #[cfg(feature = "docker")]
            docker: String::new(),
            #[cfg(feature = "docker")]
            docker_volumes: Vec::new(),
            #[cfg(feature = "docker")]
            docker_network: String::new(),
            #[cfg(feature = "docker")]
            docker_hosts: Vec::new(),
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Nobody to make the credentials of workers.
    #[error("client_id and access_token are needed: the credentials of workers are made from them")]
    NoCredentials,
    /// The queue takes no such identifier.
    #[error("provisioner_id must be 1 to 38 letters, digits, dashes and underscores")]
    ProvisionerId,
    /// Nothing could be started.
    #[error("process_folder is set, but programs names none")]
    NoPrograms,
    /// Nothing could be started there.
    #[cfg(feature = "docker")]
    #[error("docker: {0}")]
    Docker(AddressError),
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_PROVISIONER";
    const LISTEN: &'static str = "127.0.0.1:8089";
    type Fault = ConfigFault;

    fn check(&self, _: &Common) -> Result<(), ConfigFault> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=38).contains(&self.provisioner_id.len()) || !self.provisioner_id.chars().all(allowed) {
            return Err(ConfigFault::ProvisionerId);
        }
        if self.client_id.is_empty() || self.access_token.expose().is_empty() {
            return Err(ConfigFault::NoCredentials);
        }
        if self.process_folder.is_some() && self.programs.is_empty() {
            return Err(ConfigFault::NoPrograms);
        }
        #[cfg(feature = "docker")]
        self.docker("").map_err(ConfigFault::Docker)?;
        Ok(())
    }
}

impl Config {
    /// The provisioner's own credentials.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.client_id.as_str(), self.access_token.clone())
    }

    /// The providers that are configured, for the provisioner of the deployment at `root_url`.
    ///
    /// # Errors
    /// As [`check`](Own::check) finds.
    pub fn providers(&self, root_url: &str) -> Result<Providers, ConfigFault> {
        let mut providers = Providers::new();
        if let Some(folder) = &self.process_folder {
            providers = providers.with(LocalProcess::new(folder, self.programs.clone()));
        }
        #[cfg(feature = "docker")]
        if let Some(docker) = self.docker(root_url).map_err(ConfigFault::Docker)? {
            providers = providers.with(docker);
        }
        #[cfg(not(feature = "docker"))]
        let _ = root_url;
        Ok(providers)
    }

    /// An engine may serve provisioners of the same identifier in several deployments.
    #[cfg(feature = "docker")]
    fn docker(&self, root_url: &str) -> Result<Option<Docker>, AddressError> {
        if self.docker.is_empty() {
            return Ok(None);
        }
        let options = docker::Options::default()
            .with_volumes(self.docker_volumes.clone())
            .with_network(self.docker_network.clone())
            .with_hosts(self.docker_hosts.clone());
        let owner = format!("{} of {root_url}", self.provisioner_id);
        Docker::connect(&self.docker, owner).map(|docker| Some(docker.with_options(options)))
    }
}

#[cfg(test)]
mod tests {
    use service_kit::config::Layers;
    use service_kit::settings::Settings;

    use super::*;

    fn loaded(text: &str) -> Settings<Config> {
        let layers = Layers::new().text(text);
        layers.variables(Config::VARIABLES, [("TC_PROVISIONER_ACCESS_TOKEN", "hunter2")]).load().unwrap()
    }

    #[test]
    fn an_identifier_and_credentials_are_needed_and_the_token_is_not_shown() {
        assert_eq!(Settings::<Config>::default().check(), Err(ConfigFault::ProvisionerId));
        assert_eq!(loaded("provisioner_id = 'p'").check(), Err(ConfigFault::NoCredentials));
        let settings = loaded("provisioner_id = 'p'\nclient_id = 'static/taskcluster/provisioner'");
        assert_eq!(settings.check(), Ok(()));
        assert!(!format!("{settings:?}{}", service_kit::config::shown(&settings)).contains("hunter2"));
    }

    #[test]
    fn processes_need_programs() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'\nprocess_folder = '/tmp/x'";
        assert_eq!(loaded(text).check(), Err(ConfigFault::NoPrograms));
        let settings = loaded(&format!("{text}\n[programs]\nworker = '/usr/bin/worker'"));
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.own.providers("").unwrap().get("local-process").is_ok());
    }

    #[cfg(feature = "docker")]
    #[test]
    fn containers_need_an_engine() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'";
        assert!(loaded(text).own.providers("").unwrap().get("docker").is_err());
        assert!(matches!(loaded(&format!("{text}\ndocker = 'localhost'")).check(), Err(ConfigFault::Docker(_))));
        let more = "docker = 'unix:///run/docker.sock'\ndocker_volumes = ['/srv/cache']\ndocker_network = 'host'\ndocker_hosts = []";
        let settings = loaded(&format!("{text}\n{more}"));
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.own.providers("").unwrap().get("docker").is_ok());
    }
}
