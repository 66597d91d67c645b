//! The stand-alone worker's configuration: defaults, then a TOML file, then the environment, then flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use taskcluster_core::credentials::{Certificate, Credentials};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::secret::Secret;
use url::Url;

use crate::builder::{NativeWorker, NativeWorkerBuilder};
use crate::isolation::Isolation;

/// What can be configured. Every value can stand in the file, in the environment or in a flag; the latter wins.
#[derive(Clone, Debug, Default, Deserialize, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// The deployment to take tasks from.
    #[arg(long, env = "TASKCLUSTER_ROOT_URL")]
    pub root_url: Option<String>,
    /// The worker's client id. Without it, TASKCLUSTER_CLIENT_ID and the other usual variables count.
    #[arg(long, env = "NATIVE_WORKER_CLIENT_ID")]
    pub client_id: Option<String>,
    /// The worker's access token; only in the file or the environment, since flags can be seen by everybody.
    #[arg(skip)]
    pub access_token: Option<Secret>,
    /// The certificate of temporary credentials, as JSON; only in the file or the environment.
    #[arg(skip)]
    pub certificate: Option<Secret>,
    /// The task queue to take tasks from, as provisioner/worker-type.
    #[arg(long, env = "NATIVE_WORKER_TASK_QUEUE")]
    pub task_queue_id: Option<String>,
    /// The group of workers that it belongs to [default: native].
    #[arg(long, env = "NATIVE_WORKER_GROUP")]
    pub worker_group: Option<String>,
    /// Its name, unique in the group [default: made of the process id].
    #[arg(long, env = "NATIVE_WORKER_ID")]
    pub worker_id: Option<String>,
    /// Tasks at once [default: 1].
    #[arg(long, env = "NATIVE_WORKER_CAPACITY")]
    pub capacity: Option<usize>,
    /// Where tasks get their directories and the worker keeps its own files [default: /var/lib/native-worker as root, else
    /// native-worker-PID, made of the process id, in the system's temporary directory].
    #[arg(long, env = "NATIVE_WORKER_WORK_DIR")]
    pub work_dir: Option<PathBuf>,
    /// Where caches are kept [default: caches in the work directory].
    #[arg(long, env = "NATIVE_WORKER_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// What a cache's name is appended to for the scope that it takes [default: generic-worker:cache:].
    #[arg(long, env = "NATIVE_WORKER_CACHE_SCOPE")]
    pub cache_scope: Option<String>,
    /// As whom tasks run: user or none [default: user as root, else none].
    #[arg(long, env = "NATIVE_WORKER_ISOLATION")]
    pub isolation: Option<Isolation>,
    /// The longest that tasks may ask to run, in seconds [default: 86400].
    #[arg(long, env = "NATIVE_WORKER_MAX_RUN_TIME")]
    pub max_run_time: Option<u64>,
    /// Address and port at which live logs are served [default: 127.0.0.1:0].
    #[arg(long, env = "NATIVE_WORKER_LIVE_LOG_ADDRESS")]
    pub live_log_address: Option<SocketAddr>,
    /// Where viewers find the live logs, if not at that address.
    #[arg(long, env = "NATIVE_WORKER_LIVE_LOG_URL")]
    pub live_log_url: Option<String>,
    /// A file of PEM with the certificate chain by which live logs are served; read anew when it changes [default: no HTTPS].
    #[arg(long, env = "NATIVE_WORKER_LIVE_LOG_CERTIFICATE")]
    pub live_log_certificate: Option<PathBuf>,
    /// The file with its key. Tasks must not be able to read it.
    #[arg(long, env = "NATIVE_WORKER_LIVE_LOG_KEY")]
    pub live_log_key: Option<PathBuf>,
    /// How often the log of a run is uploaded as far as it has come, in seconds; 0: only at the end [default: 60].
    #[arg(long, env = "NATIVE_WORKER_LOG_INTERVAL")]
    pub log_interval: Option<u64>,
    /// Go when this many tasks have been run.
    #[arg(long, env = "NATIVE_WORKER_TASK_LIMIT")]
    pub task_limit: Option<u64>,
    /// Go when there was nothing to do for so many seconds.
    #[arg(long, env = "NATIVE_WORKER_IDLE_TIMEOUT")]
    pub idle_timeout: Option<u64>,
    /// Whether log and artifacts go to the object service: true or false [default: false].
    #[arg(long, env = "NATIVE_WORKER_CREATE_OBJECT_ARTIFACTS", value_name = "BOOL")]
    pub create_object_artifacts: Option<bool>,
}

/// The keys of the file.
const KEYS: [&str; 21] = [
    "root_url",
    "client_id",
    "access_token",
    "certificate",
    "task_queue_id",
    "worker_group",
    "worker_id",
    "capacity",
    "work_dir",
    "cache_dir",
    "cache_scope",
    "isolation",
    "max_run_time",
    "live_log_address",
    "live_log_url",
    "live_log_certificate",
    "live_log_key",
    "log_interval",
    "task_limit",
    "idle_timeout",
    "create_object_artifacts",
];

impl Config {
    /// What a file says.
    ///
    /// # Errors
    /// It cannot be read, is not TOML, or has a key that is none; the error names the one that may be meant.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("cannot use {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        for key in table.keys() {
            if !KEYS.contains(&key.as_str()) {
                let neighbour = KEYS.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
                bail!("there is no key {key:?}; did you mean {:?}?", neighbour.unwrap_or(&KEYS[0]));
            }
        }
        Ok(table.try_into()?)
    }

    /// What `self` does not say, the file does.
    ///
    /// # Errors
    /// As [`Config::read`]; besides, the file holds a secret that tasks could read, since each is a user of its own.
    pub fn over_file(self, path: &Path) -> Result<Self> {
        let file = Self::read(path)?;
        let holds_secret = file.access_token.is_some() || file.certificate.is_some();
        let config = self.over(file);
        if holds_secret && config.isolation() == Isolation::User && anybody_can_read(path)? {
            bail!("{0} holds credentials that every task could read: chmod 600 {0}", path.display());
        }
        Ok(config)
    }

    fn isolation(&self) -> Isolation {
        self.isolation.unwrap_or_else(Isolation::default_for_caller)
    }

    /// What `self` does not say, `below` does.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            root_url: self.root_url.or(below.root_url),
            client_id: self.client_id.or(below.client_id),
            access_token: self.access_token.or(below.access_token),
            certificate: self.certificate.or(below.certificate),
            task_queue_id: self.task_queue_id.or(below.task_queue_id),
            worker_group: self.worker_group.or(below.worker_group),
            worker_id: self.worker_id.or(below.worker_id),
            capacity: self.capacity.or(below.capacity),
            work_dir: self.work_dir.or(below.work_dir),
            cache_dir: self.cache_dir.or(below.cache_dir),
            cache_scope: self.cache_scope.or(below.cache_scope),
            isolation: self.isolation.or(below.isolation),
            max_run_time: self.max_run_time.or(below.max_run_time),
            live_log_address: self.live_log_address.or(below.live_log_address),
            live_log_url: self.live_log_url.or(below.live_log_url),
            live_log_certificate: self.live_log_certificate.or(below.live_log_certificate),
            live_log_key: self.live_log_key.or(below.live_log_key),
            log_interval: self.log_interval.or(below.log_interval),
            task_limit: self.task_limit.or(below.task_limit),
            idle_timeout: self.idle_timeout.or(below.idle_timeout),
            create_object_artifacts: self.create_object_artifacts.or(below.create_object_artifacts),
        }
    }

    /// The worker that is described.
    ///
    /// # Errors
    /// Something that must be said is not, or a value is none.
    pub fn into_builder(self) -> Result<NativeWorkerBuilder> {
        let root_url = self.root_url.clone().context("root_url is not set; nor is TASKCLUSTER_ROOT_URL")?;
        let task_queue_id = self.task_queue_id.clone().context("task_queue_id is not set")?;
        let task_queue_id: TaskQueueId =
            task_queue_id.parse().with_context(|| format!("task_queue_id {task_queue_id:?} is none"))?;
        if !task_queue_id.is_nameable() {
            bail!(
                "task_queue_id {:?}: no task can name this worker type; it has small letters, digits and -, a letter first and no - last",
                task_queue_id.as_str()
            );
        }
        let credentials = self.credentials()?;
        let isolation = self.isolation();
        let mut builder = NativeWorker::builder(root_url, task_queue_id).credentials(credentials).isolation(isolation);
        if let Some(worker_group) = self.worker_group {
            builder = builder.worker_group(worker_group);
        }
        if let Some(worker_id) = self.worker_id {
            builder = builder.worker_id(worker_id);
        }
        if let Some(capacity) = self.capacity {
            if capacity == 0 {
                bail!("capacity is 0: such a worker would never run anything");
            }
            builder = builder.capacity(capacity);
        }
        match self.work_dir {
            Some(work_dir) => builder = builder.work_dir(work_dir),
            None if rustix::process::geteuid().is_root() => builder = builder.work_dir("/var/lib/native-worker"),
            None => {}
        }
        if let Some(cache_dir) = self.cache_dir {
            builder = builder.cache_dir(cache_dir);
        }
        if let Some(cache_scope) = self.cache_scope {
            builder = builder.cache_scope(cache_scope);
        }
        if let Some(seconds) = self.max_run_time {
            builder = builder.max_run_time(Duration::from_secs(seconds));
        }
        if let Some(address) = self.live_log_address {
            builder = builder.live_log_address(address);
        }
        if let Some(url) = self.live_log_url {
            builder = builder.live_log_url(Url::parse(&url).with_context(|| format!("live_log_url {url:?} is none"))?);
        }
        match (self.live_log_certificate, self.live_log_key) {
            (Some(certificate), Some(key)) => {
                if isolation == Isolation::User && anybody_can_read(&key)? {
                    bail!("{0} is a key that every task could read: chmod 600 {0}", key.display());
                }
                builder = builder.live_log_tls(certificate, key);
            }
            (None, None) => {}
            (Some(_), None) => bail!("live_log_certificate is set, but live_log_key is not"),
            (None, Some(_)) => bail!("live_log_key is set, but live_log_certificate is not"),
        }
        if let Some(seconds) = self.log_interval {
            builder = builder.log_interval(Duration::from_secs(seconds));
        }
        if let Some(tasks) = self.task_limit {
            builder = builder.task_limit(tasks);
        }
        if let Some(seconds) = self.idle_timeout {
            builder = builder.idle_timeout(Duration::from_secs(seconds));
        }
        if let Some(object) = self.create_object_artifacts {
            builder = builder.object_artifacts(object);
        }
        Ok(builder)
    }

    fn credentials(&self) -> Result<Credentials> {
        let from_env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::from);
        let token = self.access_token.clone().or_else(|| from_env("NATIVE_WORKER_ACCESS_TOKEN"));
        let Some(client_id) = self.client_id.clone() else {
            return Credentials::from_env()
                .context("the credentials in the environment are none")?
                .context("there are no credentials: set client_id and access_token, or TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN");
        };
        let token = token.context("client_id is set, but access_token is not")?;
        let credentials = Credentials::new(client_id, token);
        match self.certificate.clone().or_else(|| from_env("NATIVE_WORKER_CERTIFICATE")) {
            Some(text) => {
                let certificate = Certificate::from_json(text.expose()).context("certificate is none")?;
                Ok(credentials.with_certificate(certificate))
            }
            None => Ok(credentials),
        }
    }
}

fn anybody_can_read(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(found.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        let error = Config::parse("task_queue = 'a/b'").unwrap_err();
        assert_eq!(error.to_string(), "there is no key \"task_queue\"; did you mean \"task_queue_id\"?");
    }

    #[test]
    fn a_queue_that_no_task_can_name_is_refused() {
        let config = Config::parse("root_url = 'https://tc.example'\ntask_queue_id = 'proj/Linux'").unwrap();
        let error = config.into_builder().expect_err("no task can name it").to_string();
        assert!(error.contains("\"proj/Linux\": no task can name"), "{error}");
    }

    #[test]
    fn a_certificate_is_nothing_without_its_key() {
        let usual = "root_url = 'https://tc.example'\ntask_queue_id = 'a/b'\nclient_id = 'c'\naccess_token = 't'\n";
        let config = Config::parse(&format!("{usual}live_log_certificate = 'x.pem'")).unwrap();
        let error = config.into_builder().expect_err("there is no key").to_string();
        assert_eq!(error, "live_log_certificate is set, but live_log_key is not");
    }

    #[test]
    fn flags_go_over_the_file() {
        let file = Config::parse("capacity = 2\nisolation = 'none'\naccess_token = 'x'").unwrap();
        let flags = Config { capacity: Some(4), ..Config::default() };
        let config = flags.over(file);
        assert_eq!((config.capacity, config.isolation), (Some(4), Some(Isolation::None)));
        assert!(!format!("{config:?}").contains("\"x\""));
    }
}
