//! What an operator can set, in a file, in the environment (`TC_PROVISIONER_…`) or by flags; the later wins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_kit::seal::{SealError, Sealer};
use service_kit::settings::{Common, Own};
use service_kit::store::Database;
#[cfg(feature = "ec2")]
use taskcluster_core::chain;
use taskcluster_core::clock::SharedClock;
#[cfg(any(test, feature = "ec2"))]
use taskcluster_core::clock::SystemClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::root_url::{InvalidRootUrl, RootUrl};
use taskcluster_core::secret::Secret;
#[cfg(feature = "ec2")]
use taskcluster_core::transport::http::HttpTransport;

use crate::provider::Providers;
#[cfg(feature = "docker")]
use crate::provider::docker::{self, AddressError, Docker};
#[cfg(feature = "ec2")]
use crate::provider::ec2::{Ec2, Ec2Config, Ec2ConfigError};
use crate::provider::local_process::LocalProcess;
use crate::store::sealer_for;

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
    /// Where this provisioner is found, such as `https://provisioner-2.example`, if that is not the root URL: of several beside each other
    /// only one can be there. Its workers are told so.
    pub public_url: Option<String>,
    /// What definitions and secrets are sealed with in the database: 32 bytes in base64.
    pub secrets_key: Option<Secret>,
    /// A file with that key, made if there is none. Beside the database where that is a file.
    pub secrets_key_file: Option<PathBuf>,
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
    /// Worker types of the kind `ec2`: which regions of Amazon's, and as whom. Without it there are none.
    #[cfg(feature = "ec2")]
    pub ec2: Option<Ec2Config>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::Sqlite("provisioner.db".into()),
            client_id: String::new(),
            access_token: Secret::from(""),
            provisioner_id: String::new(),
            public_url: None,
            secrets_key: None,
            secrets_key_file: None,
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
            #[cfg(feature = "ec2")]
            ec2: None,
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
    /// Workers could not find it.
    #[error("public_url: {0}")]
    PublicUrl(InvalidRootUrl),
    /// Nothing could be started.
    #[error("process_folder is set, but programs names none")]
    NoPrograms,
    /// Nothing could be started there.
    #[cfg(feature = "docker")]
    #[error("docker: {0}")]
    Docker(AddressError),
    /// Nothing could be started there.
    #[cfg(feature = "ec2")]
    #[error(transparent)]
    Ec2(Ec2ConfigError),
    /// Nobody could be asked.
    #[cfg(feature = "ec2")]
    #[error("no requests can be sent: {0}")]
    NoTransport(String),
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
        if let Some(url) = &self.public_url {
            url.parse::<RootUrl>().map_err(ConfigFault::PublicUrl)?;
        }
        if self.client_id.is_empty() || self.access_token.expose().is_empty() {
            return Err(ConfigFault::NoCredentials);
        }
        if self.process_folder.is_some() && self.programs.is_empty() {
            return Err(ConfigFault::NoPrograms);
        }
        #[cfg(feature = "docker")]
        self.docker("").map_err(ConfigFault::Docker)?;
        #[cfg(feature = "ec2")]
        self.ec2("", SystemClock::shared())?;
        Ok(())
    }
}

impl Config {
    /// The provisioner's own credentials.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.client_id.as_str(), self.access_token.clone())
    }

    /// What definitions and secrets are sealed with.
    ///
    /// # Errors
    /// When the key is not one, its file cannot be read or made, or there is no place for it.
    pub fn sealer(&self) -> Result<Sealer, SealError> {
        match &self.secrets_key {
            Some(key) => Sealer::from_base64(key),
            None => sealer_for(&self.database, self.secrets_key_file.as_deref()),
        }
    }

    /// The providers that are configured, for the provisioner of the deployment at `root_url`.
    ///
    /// # Errors
    /// As [`check`](Own::check) finds.
    pub fn providers(&self, root_url: &str, clock: &SharedClock) -> Result<Providers, ConfigFault> {
        let mut providers = Providers::new();
        if let Some(folder) = &self.process_folder {
            providers = providers.with(LocalProcess::new(folder, self.programs.clone()));
        }
        #[cfg(feature = "docker")]
        if let Some(docker) = self.docker(root_url).map_err(ConfigFault::Docker)? {
            providers = providers.with(docker);
        }
        #[cfg(feature = "ec2")]
        if let Some(ec2) = self.ec2(root_url, SharedClock::clone(clock))? {
            providers = providers.with(ec2);
        }
        let _ = (root_url, clock);
        Ok(providers)
    }

    /// By what things of this provisioner are known: provisioners of several deployments may have the same identifier.
    #[cfg(any(feature = "docker", feature = "ec2"))]
    fn owner(&self, root_url: &str) -> String {
        format!("{} of {root_url}", self.provisioner_id)
    }

    #[cfg(feature = "ec2")]
    fn ec2(&self, root_url: &str, clock: SharedClock) -> Result<Option<Ec2>, ConfigFault> {
        let Some(config) = self.ec2.clone() else { return Ok(None) };
        let transport = HttpTransport::new().map_err(|error| ConfigFault::NoTransport(chain(&error).to_string()))?;
        Ec2::new(config, self.owner(root_url), transport.into_transport(), clock).map(Some).map_err(ConfigFault::Ec2)
    }

    #[cfg(feature = "docker")]
    fn docker(&self, root_url: &str) -> Result<Option<Docker>, AddressError> {
        if self.docker.is_empty() {
            return Ok(None);
        }
        let options = docker::Options::default()
            .with_volumes(self.docker_volumes.clone())
            .with_network(self.docker_network.clone())
            .with_hosts(self.docker_hosts.clone());
        Docker::connect(&self.docker, self.owner(root_url)).map(|docker| Some(docker.with_options(options)))
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
    fn a_place_of_its_own_is_one_that_can_be_called() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'\npublic_url = ";
        assert_eq!(loaded(&format!("{text}'https://second.example'")).check(), Ok(()));
        assert!(matches!(loaded(&format!("{text}'second.example'")).check(), Err(ConfigFault::PublicUrl(_))));
    }

    #[test]
    fn a_shared_database_needs_a_key_that_all_know() {
        let config = Config { database: "postgres://db/provisioner".parse().unwrap(), ..Config::default() };
        assert!(config.sealer().unwrap_err().to_string().contains("secrets_key_file"));
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let settings = loaded(&format!("database = 'postgres://db/provisioner'\nsecrets_key = '{key}'"));
        assert!(settings.own.sealer().is_ok() && !format!("{settings:?}").contains(key));
    }

    #[test]
    fn processes_need_programs() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'\nprocess_folder = '/tmp/x'";
        assert_eq!(loaded(text).check(), Err(ConfigFault::NoPrograms));
        let settings = loaded(&format!("{text}\n[programs]\nworker = '/usr/bin/worker'"));
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.own.providers("", &SystemClock::shared()).unwrap().get("local-process").is_ok());
    }

    #[cfg(feature = "docker")]
    #[test]
    fn containers_need_an_engine() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'";
        assert!(loaded(text).own.providers("", &SystemClock::shared()).unwrap().get("docker").is_err());
        assert!(matches!(loaded(&format!("{text}\ndocker = 'localhost'")).check(), Err(ConfigFault::Docker(_))));
        let more = "docker = 'unix:///run/docker.sock'\ndocker_volumes = ['/srv/cache']\ndocker_network = 'host'\ndocker_hosts = []";
        let settings = loaded(&format!("{text}\n{more}"));
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.own.providers("", &SystemClock::shared()).unwrap().get("docker").is_ok());
    }

    #[cfg(feature = "ec2")]
    #[test]
    fn machines_need_a_region_and_keys_are_not_shown() {
        let text = "provisioner_id = 'p'\nclient_id = 'c'\n[ec2]";
        assert!(matches!(loaded(text).check(), Err(ConfigFault::Ec2(_))));
        let keys = "access_key_id = 'hunter1'\nsecret_access_key = 'hunter2'";
        let settings = loaded(&format!("{text}\nregions = ['us-west-2']\n{keys}"));
        assert_eq!(settings.check(), Ok(()));
        assert!(!format!("{settings:?}{}", service_kit::config::shown(&settings)).contains("hunter2"));
        assert!(settings.own.providers("", &SystemClock::shared()).unwrap().get("ec2").is_ok());
    }
}
