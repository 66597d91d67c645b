//! What a worker is made of, as its configuration and its provisioner say.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use taskcluster_core::credentials::{Certificate, Credentials};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::secret::Secret;
use taskcluster_core::{Caller, RootUrl};
use taskcluster_worker::payload::Refused;
use taskcluster_worker::plugins::{ChainOfTrust, SigningKey};
use taskcluster_worker::tunnel::TunnelServer;
use taskcluster_worker::{Identity, Settings};
use url::Url;

use super::name::{is_name, of_work_dir};
use super::{WorkerConfig, prefix};
use crate::provisioned::UserData;

/// What every worker is made of, after the configuration.
#[derive(Debug)]
#[non_exhaustive]
pub struct Base {
    /// The deployment.
    pub root_url: String,
    /// The worker's own credentials.
    pub credentials: Credentials,
    /// Who it is.
    pub identity: Identity,
    /// How it behaves.
    pub settings: Settings,
    /// Where caches are kept.
    pub cache_dir: PathBuf,
    /// The longest that tasks may ask to run.
    pub max_run_time: Duration,
    /// Where live logs are served.
    pub live_log_address: SocketAddr,
    /// Where viewers find them, if not there.
    pub live_log_url: Option<Url>,
    /// Certificate and key by which they are served, if not by plain HTTP.
    pub live_log_tls: Option<(PathBuf, PathBuf)>,
    /// Through what they are reached, if not there.
    pub tunnel: Option<TunnelServer>,
    /// How often the log so far is uploaded; zero: not at all.
    pub log_interval: Duration,
    /// What signs for tasks that ask for it.
    pub chain_of_trust: ChainOfTrust,
}

impl WorkerConfig {
    /// What is described, for the program `name` (such as `native-worker`).
    ///
    /// # Errors
    /// Something that must be said is not, or a value is none.
    pub fn base(&self, name: &str) -> Result<Base> {
        let said = self.root_url.as_deref().map(|url| url.trim_end_matches('/'));
        let told = self.told().map(|told| told.root_url.trim_end_matches('/'));
        let root_url = agreed("root_url", said, told)?.or_else(|| variable("TASKCLUSTER_ROOT_URL"));
        let root_url = root_url.context("root_url is not set; nor is TASKCLUSTER_ROOT_URL")?;
        let _: RootUrl = root_url.parse().context("root_url")?;
        let settings = self.settings(name)?;
        let identity = self.identity(name, &settings.work_dir)?;
        let live_log_url = match &self.live_log_url {
            Some(url) => Some(Url::parse(url).with_context(|| format!("live_log_url {url:?} is none"))?),
            None => None,
        };
        let live_log_tls = match (&self.live_log_certificate, &self.live_log_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => bail!("live_log_certificate is set, but live_log_key is not"),
            (None, Some(_)) => bail!("live_log_key is set, but live_log_certificate is not"),
        };
        let credentials = self.credentials(name)?;
        let tunnel = self.tunnel(&root_url, &credentials, &identity)?;
        let key = match &self.ed25519_signing_key {
            Some(path) => {
                Some(SigningKey::read(path).with_context(|| format!("ed25519_signing_key {}", path.display()))?)
            }
            None => None,
        };
        Ok(Base {
            root_url,
            credentials,
            identity,
            cache_dir: match &self.cache_dir {
                Some(cache_dir) => absolute(cache_dir)?,
                None => settings.work_dir.join("caches"),
            },
            settings,
            max_run_time: Duration::from_secs(self.max_run_time.unwrap_or(24 * 60 * 60)),
            live_log_address: self.live_log_address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            live_log_url,
            live_log_tls,
            tunnel,
            log_interval: Duration::from_secs(self.log_interval.unwrap_or(60)),
            chain_of_trust: ChainOfTrust::new(key),
        })
    }

    /// Has the work directory there, so that what belongs to it can be remembered in it. Where that fails the worker says why.
    pub(crate) fn make_work_dir(&self, name: &str) {
        if let Ok(settings) = self.settings(name) {
            let _ = std::fs::create_dir_all(&settings.work_dir);
        }
    }

    fn tunnel(&self, root_url: &str, credentials: &Credentials, worker: &Identity) -> Result<Option<TunnelServer>> {
        let (url, audience) = match (&self.tunnel_url, &self.tunnel_audience) {
            (Some(url), Some(audience)) => (url, audience),
            (None, None) => return Ok(None),
            (Some(_), None) => bail!("tunnel_url is set, but tunnel_audience is not"),
            (None, Some(_)) => bail!("tunnel_audience is set, but tunnel_url is not"),
        };
        if self.live_log_url.is_some() || self.live_log_certificate.is_some() {
            bail!(
                "live_log_url and live_log_certificate are of no use with tunnel_url: viewers come in through the tunnel"
            );
        }
        let url = Url::parse(url).with_context(|| format!("tunnel_url {url:?} is none"))?;
        let caller = Caller::builder(root_url).credentials(credentials.clone()).build();
        let server = TunnelServer::new(url, audience, caller.context("the tunnel's tokens cannot be asked for")?);
        server.tunnel(worker, "log").context("the tunnel cannot be used")?;
        Ok(Some(server))
    }

    fn identity(&self, name: &str, work_dir: &Path) -> Result<Identity> {
        let told = self.told();
        let task_queue_id = told.map(UserData::task_queue_id);
        let task_queue_id = agreed("task_queue_id", self.task_queue_id.as_deref(), task_queue_id.as_deref())?;
        let task_queue_id = task_queue_id.context("task_queue_id is not set")?;
        let task_queue_id: TaskQueueId =
            task_queue_id.parse().with_context(|| format!("task_queue_id {task_queue_id:?} is none"))?;
        if !task_queue_id.is_nameable() {
            bail!(
                "task_queue_id {:?}: no task can name this worker type; it has small letters, digits and -, a letter first and no - last",
                task_queue_id.as_str()
            );
        }
        let worker_group = agreed("worker_group", self.worker_group.as_deref(), told.map(|told| &*told.worker_group))?;
        let worker_group = worker_group.unwrap_or_else(|| name.to_owned());
        let worker_id = agreed("worker_id", self.worker_id.as_deref(), told.map(|told| &*told.worker_id))?;
        let worker_id = worker_id.unwrap_or_else(|| of_work_dir(work_dir));
        for (key, name) in [("worker_group", &worker_group), ("worker_id", &worker_id)] {
            if !is_name(name) {
                bail!(
                    "{key} {name:?} is none: it has 1 to 38 letters, digits, - and _ (of a machine's name, `hostname -s` is one)"
                );
            }
        }
        Ok(Identity::new(task_queue_id, worker_group, worker_id))
    }

    fn settings(&self, name: &str) -> Result<Settings> {
        let is_root = rustix::process::geteuid().is_root();
        let work_dir = match (&self.work_dir, self.told()) {
            (Some(work_dir), _) => work_dir.clone(),
            // A provisioner may start several on one machine, and the same one again.
            (None, Some(told)) if is_root => PathBuf::from("/var/lib").join(name).join(file_name(&told.worker_id)),
            (None, Some(told)) => std::env::temp_dir().join(format!("{name}-{}", file_name(&told.worker_id))),
            (None, None) if is_root => PathBuf::from("/var/lib").join(name),
            (None, None) => std::env::temp_dir().join(format!("{name}-{}", std::process::id())),
        };
        let mut settings = Settings::new(absolute(&work_dir)?);
        if let Some(capacity) = self.told().map(|told| told.capacity).or(self.capacity) {
            if capacity == 0 {
                bail!("capacity is 0: such a worker would never run anything");
            }
            settings.capacity = capacity;
        }
        settings.required_disk_space = self.required_disk_space.unwrap_or(10 << 30);
        if let Some(bytes) = self.max_artifact_bytes {
            settings.artifact_limits.each = bytes;
        }
        if let Some(bytes) = self.max_run_artifact_bytes {
            settings.artifact_limits.all = bytes;
        }
        settings.task_limit = self.task_limit;
        // Whoever asked without a pause would do nothing else.
        let told = self.told().map(|told| told.idle_time.max(1));
        settings.idle_timeout = told.or(self.idle_timeout).map(Duration::from_secs);
        settings.quarantine = match self.quarantine_after {
            Some(0) => None,
            after => Some((after.unwrap_or(5), Duration::from_secs(self.quarantine_time.unwrap_or(24 * 60 * 60)))),
        };
        settings.object_artifacts = self.create_object_artifacts.unwrap_or(false);
        settings.refused = self.refused();
        settings.live_logs = self.allow_live_log.unwrap_or(true);
        Ok(settings)
    }

    /// What tasks may not ask for, by the names that the payloads of all workers have for it.
    fn refused(&self) -> Refused {
        let mut refused = Refused::default();
        if self.allow_interactive == Some(false) {
            refused = refused.feature("interactive");
        }
        if self.allow_taskcluster_proxy == Some(false) {
            refused = refused.feature("taskclusterProxy");
        }
        if self.allow_mounts == Some(false) {
            refused = refused.property("mounts").property("cache");
        }
        refused
    }

    fn credentials(&self, name: &str) -> Result<Credentials> {
        if let Some(provisioned) = &self.provisioned {
            for (key, is_set) in [
                ("client_id", self.client_id.is_some()),
                ("access_token", self.access_token.is_some()),
                ("certificate", self.certificate.is_some()),
            ] {
                if is_set {
                    bail!("{key} is set, but the credentials of this worker come with its secret: leave it out");
                }
            }
            return Ok(provisioned.credentials());
        }
        let prefix = prefix(name);
        let secret = |name: &str| variable(&format!("{prefix}_{name}")).map(Secret::from);
        let token = self.access_token.clone().or_else(|| secret("ACCESS_TOKEN"));
        let Some(client_id) = self.client_id.clone() else {
            return Credentials::from_env()
                .context("the credentials in the environment are none")?
                .context("there are no credentials: set client_id and access_token, or TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN");
        };
        let token = token.context("client_id is set, but access_token is not")?;
        let credentials = Credentials::new(client_id, token);
        match self.certificate.clone().or_else(|| secret("CERTIFICATE")) {
            Some(text) => {
                let certificate = Certificate::from_json(text.expose()).context("certificate is none")?;
                Ok(credentials.with_certificate(certificate))
            }
            None => Ok(credentials),
        }
    }
}

/// What is said and what the provisioner has told, which must not be something else.
fn agreed(key: &str, said: Option<&str>, told: Option<&str>) -> Result<Option<String>> {
    match (said, told) {
        (Some(said), Some(told)) if said != told => {
            bail!("{key} is {said:?}, but the provisioner that started this worker says {told:?}: leave it out")
        }
        (said, told) => Ok(told.or(said).map(str::to_owned)),
    }
}

/// Tasks and other programs have other current directories.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

/// A name that is its own, and stays where it is put.
fn file_name(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioned::Provisioned;

    fn described(task_queue_id: &str) -> WorkerConfig {
        let text = |text: &str| Some(text.to_owned());
        WorkerConfig {
            root_url: text("https://tc.example"),
            client_id: text("c"),
            access_token: Some("t".to_owned().into()),
            task_queue_id: text(task_queue_id),
            ..WorkerConfig::default()
        }
    }

    #[test]
    fn a_queue_that_no_task_can_name_is_refused() {
        let error = described("proj/Linux").base("some-worker").expect_err("no task can name it").to_string();
        assert!(error.contains("\"proj/Linux\": no task can name"), "{error}");
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let base = described("proj/linux").base("some-worker").unwrap();
        assert_eq!(base.identity.worker_group, "some-worker");
        assert_eq!((base.settings.capacity, base.max_run_time.as_secs()), (1, 86400));
        assert!(base.cache_dir.starts_with(&base.settings.work_dir));
    }

    #[test]
    fn a_certificate_is_nothing_without_its_key() {
        let config = WorkerConfig { live_log_certificate: Some("x.pem".into()), ..described("a/b") };
        assert!(config.base("some-worker").unwrap_err().to_string().contains("live_log_key is not"));
    }

    #[test]
    fn a_tunnel_needs_all_that_is_said_of_it() {
        let text = |text: &str| Some(text.to_owned());
        let config = WorkerConfig { tunnel_url: text("https://tunnel.example"), ..described("a/b") };
        let error = config.base("some-worker").unwrap_err().to_string();
        assert!(error.contains("tunnel_audience is not"), "{error}");
        let config = WorkerConfig { tunnel_audience: text("tunnel"), ..config };
        assert!(config.base("some-worker").unwrap().tunnel.is_some());
        for (change, expected) in [
            (WorkerConfig { live_log_url: text("https://log.example"), ..config.clone() }, "of no use"),
            (WorkerConfig { tunnel_url: text("ftp://tunnel.example"), ..config.clone() }, "cannot be used"),
            (WorkerConfig { worker_id: text("web1.example.com"), ..config.clone() }, "`hostname -s`"),
            (WorkerConfig { root_url: text("127.0.0.1:8080"), ..config.clone() }, "root_url"),
        ] {
            let error = change.base("some-worker").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    fn provisioned() -> Provisioned {
        let told = serde_json::json!({
            "rootUrl": "https://tc.example/", "provisionerId": "pool", "workerType": "linux", "workerGroup": "eu",
            "workerId": "i-1", "capacity": 3, "idleTime": 0, "securityToken": "the-token", "data": {},
        });
        Provisioned { user_data: serde_json::from_value(told).unwrap(), credentials: None }
    }

    #[test]
    fn what_a_provisioner_tells_wins() {
        let config = WorkerConfig {
            provisioned: Some(provisioned()),
            root_url: Some("https://tc.example".to_owned()),
            worker_group: Some("eu".to_owned()),
            capacity: Some(1),
            idle_timeout: Some(60),
            ..WorkerConfig::default()
        };
        let base = config.base("some-worker").unwrap();
        let identity = &base.identity;
        assert_eq!(
            (identity.task_queue_id.as_str(), &*identity.worker_group, &*identity.worker_id),
            ("pool/linux", "eu", "i-1")
        );
        assert_eq!((&*base.root_url, base.settings.capacity), ("https://tc.example", 3));
        assert_eq!(base.settings.idle_timeout, Some(Duration::from_secs(1)));
        assert!(base.credentials.access_token.is_empty(), "the secret has not been fetched");
        assert!(
            base.settings.work_dir.ends_with("some-worker/i-1") || base.settings.work_dir.ends_with("some-worker-i-1")
        );
    }

    #[test]
    fn folders_are_where_the_worker_was_started() {
        let config =
            WorkerConfig { work_dir: Some("work".into()), cache_dir: Some("../caches".into()), ..described("a/b") };
        let (base, here) = (config.base("some-worker").unwrap(), std::env::current_dir().unwrap());
        assert_eq!((base.settings.work_dir, base.cache_dir), (here.join("work"), here.join("../caches")));
        assert_eq!(file_name("../i-1.x"), "___i-1_x");
    }

    #[test]
    fn what_contradicts_the_provisioner_is_refused() {
        let text = |text: &str| Some(text.to_owned());
        let told = || WorkerConfig { provisioned: Some(provisioned()), ..WorkerConfig::default() };
        for (config, expected) in [
            (WorkerConfig { root_url: text("https://other.example"), ..told() }, "\"https://tc.example\": leave"),
            (WorkerConfig { task_queue_id: text("a/b"), ..told() }, "task_queue_id is \"a/b\""),
            (WorkerConfig { worker_group: text("us"), ..told() }, "says \"eu\": leave"),
            (WorkerConfig { worker_id: text("i-2"), ..told() }, "worker_id is \"i-2\""),
            (WorkerConfig { client_id: text("c"), ..told() }, "client_id is set"),
            (WorkerConfig { access_token: Some("t".into()), ..told() }, "access_token is set"),
        ] {
            let error = config.base("some-worker").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_an_operator_forbids_is_refused_by_the_names_of_all_payloads() {
        let usual = described("a/b").base("some-worker").unwrap().settings;
        assert_eq!((usual.refused, usual.live_logs), (Refused::default(), true));
        let no = Some(false);
        let strict = WorkerConfig {
            allow_interactive: no,
            allow_taskcluster_proxy: no,
            allow_live_log: no,
            allow_mounts: no,
            ..described("a/b")
        };
        let strict = strict.base("some-worker").unwrap().settings;
        let native = serde_json::json!({"features": {"interactive": true, "taskclusterProxy": true}, "mounts": [{}]});
        let docker =
            serde_json::json!({"features": {"interactive": true, "taskclusterProxy": true}, "cache": {"a": "/b"}});
        assert_eq!([native, docker].map(|payload| strict.refused.reasons(&payload).len()), [3, 3]);
        assert!(!strict.live_logs);
    }

    #[test]
    fn a_worker_that_would_run_nothing_is_refused() {
        let config = WorkerConfig { capacity: Some(0), ..described("a/b") };
        assert!(config.base("some-worker").unwrap_err().to_string().contains("capacity is 0"));
    }
}
