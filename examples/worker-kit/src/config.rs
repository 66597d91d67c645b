//! The keys that the configuration of every worker has.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taskcluster_core::secret::Secret;
use taskcluster_worker::notices::Watch;

use crate::notices::Notices;
use crate::provisioned::{Provisioned, UserData, UserDataSource};

mod base;
mod guards;
mod name;
mod place;
mod shells;

pub use base::Base;
pub use guards::GuardConfig;
pub use place::PlaceConfig;
pub use shells::ShellConfig;

/// What can be configured of any worker. Each value can stand in the file, in the environment or in a flag; the latter wins.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// The deployment to take tasks from [default: TASKCLUSTER_ROOT_URL].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    /// The worker's client id. Without it, TASKCLUSTER_CLIENT_ID and the other usual variables count.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The worker's access token; only in the file or the environment, since flags can be seen by everybody.
    #[arg(skip)]
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub access_token: Option<Secret>,
    /// The certificate of temporary credentials, as JSON; only in the file or the environment.
    #[arg(skip)]
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub certificate: Option<Secret>,
    /// The task queue to take tasks from, as provisioner/worker-type.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_queue_id: Option<String>,
    /// The group of workers that it belongs to [default: the program's name].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// Its name, unique in the group [default: the machine's name and some characters of
    /// chance, which the work directory remembers].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Tasks at once [default: 1].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<usize>,
    /// Where the worker keeps its own files [default: a folder with the program's name, in /var/lib as root, else with the process
    /// id in the system's temporary directory; of a worker that a provisioner has started, with the worker's name].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<PathBuf>,
    /// Where caches are kept [default: caches in the work directory].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// Bytes that must be free on the disk before tasks are claimed; what the worker keeps for tasks to come and was not used for
    /// longest makes room: images, then caches [default: 10 GiB].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_disk_space: Option<u64>,
    /// The most bytes that one artifact may have [default: 68719476736, which is 64 GiB]. What is larger becomes an error artifact.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_artifact_bytes: Option<u64>,
    /// The most bytes that all artifacts of a run may have together [default: 274877906944, which is 256 GiB]. What no longer fits
    /// becomes an error artifact.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_artifact_bytes: Option<u64>,
    /// The longest that tasks may ask to run, in seconds [default: 86400].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_time: Option<u64>,
    /// Address and port at which live logs are served [default: 127.0.0.1:0].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_log_address: Option<SocketAddr>,
    /// Where viewers find the live logs, if not at that address.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_log_url: Option<String>,
    /// A file of PEM with the certificate chain by which live logs are served; read anew when it changes [default: no HTTPS].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_log_certificate: Option<PathBuf>,
    /// The file with its key. Tasks must not be able to read it.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_log_key: Option<PathBuf>,
    /// A tunnel server through which viewers reach live logs and shells, where they cannot reach this machine [default: none].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_url: Option<String>,
    /// What the deployment's auth service calls that server. The worker's client needs
    /// auth:websocktunnel-token:AUDIENCE/GROUP.WORKER.* for it.
    #[arg(long, value_name = "AUDIENCE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_audience: Option<String>,
    /// How often the log of a run is uploaded as far as it has come, in seconds; 0: only at the end [default: 60].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_interval: Option<u64>,
    /// Go when this many tasks have been run.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_limit: Option<u64>,
    /// Go when there was nothing to do for so many seconds.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u64>,
    /// Get no more tasks after so many in a row that failed by the worker's own fault, until somebody lifts the quarantine; 0: go
    /// on [default: 5].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_after: Option<u32>,
    /// How long such a quarantine lasts unless it is lifted, in seconds [default: 86400].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_time: Option<u64>,
    /// The cloud that says when it takes the machine away, on which runs are given back: ec2 or gcp [default: none].
    #[arg(long, value_name = "CLOUD")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_notices: Option<Notices>,
    /// Where that cloud's metadata are, if not where it has them.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// File of the Ed25519 key that signs for tasks with features.chainOfTrust; `new-ed25519-keypair` makes one [default: none].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ed25519_signing_key: Option<PathBuf>,
    /// Whether log and artifacts go to the object service: true or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_object_artifacts: Option<bool>,
    /// Whether tasks may let shells be opened in them (features.interactive): true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_interactive: Option<bool>,
    /// Whether tasks may call the deployment with their scopes (features.taskclusterProxy): true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_taskcluster_proxy: Option<bool>,
    /// Whether the logs of tasks can be read while they run: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_live_log: Option<bool>,
    /// Whether tasks may have caches and mounted content: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_mounts: Option<bool>,
    /// Where the provisioner that started this worker tells it what it is: env (TASKCLUSTER_USER_DATA) or ec2. Deployment, task
    /// queue, group, name, credentials, capacity and idle timeout come from there [default: env if that is set, else nowhere].
    #[arg(long, value_name = "WHERE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserDataSource>,
    /// What the provisioner has told.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) provisioned: Option<Provisioned>,
}

impl WorkerConfig {
    /// What listens to the cloud, if it is to be heard.
    pub(crate) fn watch(&self) -> Result<Option<Watch>> {
        let watch = self.termination_notices.map(|notices| notices.watch(self.metadata_url.as_deref()));
        watch.transpose().context("the cloud cannot be asked")
    }

    /// Refuse files with secrets that every user of the machine, and so every task, could read. `file` is where this was read.
    ///
    /// # Errors
    /// There is such a file, or it is not there.
    pub fn keeps_secrets(&self, file: Option<&Path>) -> Result<()> {
        let holds_secret = self.access_token.is_some() || self.certificate.is_some();
        for path in file.filter(|_| holds_secret).into_iter().chain(self.live_log_key.as_deref()) {
            if anybody_can_read(path)? {
                bail!("{0} holds a secret that every task could read: chmod 600 {0}", path.display());
            }
        }
        Ok(())
    }

    /// Whether a provisioner has started this worker, which then knows from it what it is: others need not be told.
    #[must_use]
    pub fn is_provisioned(&self) -> bool {
        self.provisioned.is_some()
    }

    fn told(&self) -> Option<&UserData> {
        self.provisioned.as_ref().map(|provisioned| &provisioned.user_data)
    }
}

/// What the names of a program's environment variables begin with.
pub(crate) fn prefix(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

fn anybody_can_read(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(found.permissions().mode() & 0o004 != 0)
}
