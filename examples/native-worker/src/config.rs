//! The program's configuration: what is particular to a native worker, beside what all workers have.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskcluster_core::TaskId;
use taskcluster_worker::WorkerBuilder;
use taskcluster_worker::plugins::{ChainOfTrust, MountLimits};
use worker_kit::{Examination, GuardConfig, PlaceConfig, Program, ShellConfig, WorkerConfig};

use crate::builder::NativeWorker;
use crate::devices::LoopbackDevices;
use crate::doctor;
use crate::isolation::Isolation;
use crate::limits::Limits;

/// What can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// What all workers have.
    #[command(flatten)]
    #[serde(flatten)]
    pub worker: WorkerConfig,
    /// As whom tasks run: user or none [default: user as root, else none].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Where shells are served.
    #[command(flatten)]
    #[serde(flatten)]
    pub shells: ShellConfig,
    /// When a task is ended for the sake of others.
    #[command(flatten)]
    #[serde(flatten)]
    pub guards: GuardConfig,
    /// What tasks are told of the machine.
    #[command(flatten)]
    #[serde(flatten)]
    pub place: PlaceConfig,
    /// What a cache's name is appended to for the scope that it takes [default: generic-worker:cache:].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_scope: Option<String>,
    /// The most that is written for the mounts of a task, in bytes [default: 68719476736, which is 64 GiB].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_bytes: Option<u64>,
    /// The most files, directories and links that a task may mount [default: 4000000].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_entries: Option<u64>,
    /// How many bytes of the disk mounts leave free [default: 1073741824, which is 1 GiB]. A worker that has less gives the run back.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_free_disk: Option<u64>,
    /// Processes and threads that a task may have at once [default: 512 for each processor].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_processes: Option<u64>,
    /// Whether tasks with features.runTaskAsCurrentUser and the scope for it run as the user of the worker: whoever may create such
    /// tasks has all that this user has; as root, the machine. True or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_task_as_current_user: Option<bool>,
    /// Loopback video devices for tasks, such as /dev/video0; once for each. The worker claims no more tasks than could all have one
    /// [default: none].
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loopback_video_devices: Vec<PathBuf>,
    /// Numbers of the loopback sound cards for tasks, such as 16; once for each. Likewise [default: none].
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loopback_audio_cards: Vec<u32>,
    /// The network interface on which containers of a task reach its proxy, if the task asks for that [default: docker0].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_bridge: Option<String>,
    /// Users that are kept ready for tasks to come [default: as many as the capacity].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spare_users: Option<usize>,
    /// Run nothing but shells.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) only_shells: bool,
    /// Where the directories of tasks are made and kept.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) keep_in: Option<PathBuf>,
}

/// The program `native-worker`.
#[derive(Clone, Copy, Debug)]
pub struct NativeProgram;

impl Program for NativeProgram {
    const NAME: &'static str = "native-worker";
    const ABOUT: &'static str = "Takes tasks from a TaskCluster deployment and runs their commands on this machine";

    type Config = Config;

    fn common(config: &mut Config) -> &mut WorkerConfig {
        &mut config.worker
    }

    fn check(config: &Config, file: Option<&Path>) -> Result<()> {
        if config.isolation() == Isolation::User {
            config.worker.keeps_secrets(file)?;
        }
        if config.worker.ed25519_signing_key.is_some() && config.isolation() == Isolation::None {
            bail!("ed25519_signing_key is of no use with isolation \"none\": every task could read it");
        }
        if config.worker.ed25519_signing_key.is_some() && config.as_current_user() {
            bail!("ed25519_signing_key is of no use with run_task_as_current_user: such a task could read it");
        }
        config.worker.base(Self::NAME).map(drop)
    }

    async fn worker(config: Config) -> Result<WorkerBuilder> {
        let base = config.worker.base(Self::NAME)?;
        let (shell_address, shell_url) = config.shells.place(&base)?;
        let identity = base.identity;
        let mut builder = NativeWorker::builder(base.root_url, identity.task_queue_id)
            .worker_group(identity.worker_group)
            .worker_id(identity.worker_id)
            .credentials(base.credentials)
            .settings(|settings| *settings = base.settings)
            .isolation(config.isolation())
            .mount_limits(config.mount_limits())
            .memory_guard(config.guards.memory())
            .limits(config.limits())
            .run_task_as_current_user(config.as_current_user())
            .loopback_devices(config.loopback_devices())
            .cache_dir(base.cache_dir)
            .max_run_time(base.max_run_time)
            .env(config.place.environment())
            .chain_of_trust(config.chain_of_trust(base.chain_of_trust))
            .live_log_address(base.live_log_address)
            .shell_address(shell_address)
            .log_interval(base.log_interval);
        if let Some(url) = base.live_log_url {
            builder = builder.live_log_url(url);
        }
        if let Some((certificate, key)) = base.live_log_tls {
            builder = builder.live_log_tls(certificate, key);
        }
        if let Some(server) = base.tunnel {
            builder = builder.tunnel(server);
        }
        if let Some(url) = shell_url {
            builder = builder.shell_url(url);
        }
        if let Some(silence) = config.guards.silence() {
            builder = builder.max_silence(silence);
        }
        if let Some(users) = config.spare_users {
            builder = builder.spare_users(users);
        }
        if let Some(interface) = &config.docker_bridge {
            builder = builder.docker_bridge(interface);
        }
        if let Some(cache_scope) = config.cache_scope {
            builder = builder.cache_scope(cache_scope);
        }
        if config.only_shells {
            builder = builder.only_shells();
        }
        if let Some(dir) = config.keep_in {
            builder = builder.keep_in(dir);
        }
        Ok(builder.into_worker_builder().await?)
    }

    fn keep(config: &mut Config, _task_id: &TaskId) -> Result<String> {
        // Nobody else can have made it: what is in it may be run by whoever looks.
        let dir = tempfile::Builder::new().prefix("native-worker-kept-").tempdir();
        let dir = dir.context("there can be no directory for what the task leaves")?.keep();
        let hint = format!("kept: the task's directory is in {}", dir.display());
        config.keep_in = Some(dir);
        Ok(hint)
    }

    fn run_only_shells(config: &mut Config) -> Result<()> {
        config.only_shells = true;
        Ok(())
    }

    async fn examine(config: &Config, examination: &mut Examination) {
        let work_dir = config.worker.base(Self::NAME).map(|base| base.settings.work_dir).unwrap_or_default();
        doctor::users(config.isolation(), work_dir, examination).await;
        doctor::current_user(config.as_current_user(), config.isolation(), examination);
        doctor::devices(&config.loopback_devices(), examination);
    }

    fn schema(_config: &Config) -> Result<Value> {
        Ok(NativeWorker::payload_schema())
    }
}

impl Config {
    fn isolation(&self) -> Isolation {
        self.isolation.unwrap_or_else(Isolation::default_for_caller)
    }

    fn mount_limits(&self) -> MountLimits {
        let usual = MountLimits::default();
        usual
            .with_bytes(self.mount_bytes.unwrap_or(usual.bytes))
            .with_entries(self.mount_entries.unwrap_or(usual.entries))
            .with_free_disk(self.mount_free_disk.unwrap_or(usual.free_disk))
    }

    fn chain_of_trust(&self, chain_of_trust: ChainOfTrust) -> ChainOfTrust {
        match &self.place.instance_type {
            Some(instance_type) => chain_of_trust.with_environment("instanceType", instance_type.as_str()),
            None => chain_of_trust,
        }
    }

    fn as_current_user(&self) -> bool {
        self.run_task_as_current_user.unwrap_or(false)
    }

    fn loopback_devices(&self) -> LoopbackDevices {
        let video = self.loopback_video_devices.iter().fold(LoopbackDevices::default(), LoopbackDevices::with_video);
        self.loopback_audio_cards.iter().fold(video, |devices, number| devices.with_sound_card(*number))
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        usual.with_processes(self.max_processes.unwrap_or(usual.processes))
    }
}
