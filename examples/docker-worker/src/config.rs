//! The program's configuration: what is particular to a Docker worker, beside what all workers have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskcluster_core::TaskId;
use taskcluster_worker::WorkerBuilder;
use worker_kit::{Examination, GuardConfig, PlaceConfig, Program, ShellConfig, WorkerConfig};

use crate::builder::DockerWorker;
use crate::devices::Devices;
use crate::doctor;
use crate::engine::Options;
use crate::image::Registry;
use crate::processors;

/// What can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// What all workers have.
    #[command(flatten)]
    #[serde(flatten)]
    pub worker: WorkerConfig,
    /// Where the Docker engine listens: unix://PATH, or tcp://HOST:PORT of this machine [default: DOCKER_HOST, else
    /// unix:///var/run/docker.sock].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
    /// The network of containers that need none of their own [default: Docker's].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The most memory that a container may take, in megabytes [default: whatever there is].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_megabytes: Option<u64>,
    /// The most processors that a container may take, such as 1.5 [default: all].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// The most processes and threads that a container may have; 0: no limit [default: 512 for each processor].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// For how many seconds a tag of a registry is believed to mean the image that is here [default: 600].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_fresh_for: Option<u64>,
    /// The most that an image which is an artifact may take, unpacked, in bytes [default: 68719476736, which is 64 GiB].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_bytes: Option<u64>,
    /// Whether tasks with the scope for it may do everything on this machine: true or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_privileged: Option<bool>,
    /// Whether tasks with the scope for it may make any system call: true or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_disable_seccomp: Option<bool>,
    /// Whether tasks with the scope for it may trace their processes: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_ptrace: Option<bool>,
    /// Whether tasks with the scope for it see the machine's shared memory: true or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_host_shared_memory: Option<bool>,
    /// Whether tasks with the scope for it may run virtual machines: true or false [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_kvm: Option<bool>,
    /// How many tasks may have /dev/kvm at once; the worker claims no more tasks than could all have it [default: any number].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kvm_tasks: Option<usize>,
    /// Video devices for tasks with the scope for them, such as /dev/video0,/dev/video1. Each is one task's at a time, and the worker
    /// claims no more tasks than could all have one [default: none].
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loopback_video_devices: Vec<PathBuf>,
    /// The numbers of loopback sound cards, such as 16 for /dev/snd/controlC16 and what belongs to it. Likewise [default: none].
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loopback_audio_cards: Vec<u32>,
    /// Whether each task gets one processor to itself, and the worker takes as many tasks as there are, unless capacity says fewer: true
    /// or false [default: false, and all tasks share all processors].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrict_cpu: Option<bool>,
    /// The graphics processors that every container sees: all, a number of them, or device=ID,ID [default: none].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// Whether tasks may have their containers kept as artifacts, features.dockerSave: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_docker_save: Option<bool>,
    /// Whether images that the worker brought in are removed when there is less than required_disk_space, those that were not used
    /// for longest first: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_images: Option<bool>,
    /// When a task is ended for the sake of others.
    #[command(flatten)]
    #[serde(flatten)]
    pub guards: GuardConfig,
    /// Where shells are served.
    #[command(flatten)]
    #[serde(flatten)]
    pub shells: ShellConfig,
    /// What tasks are told of the machine.
    #[command(flatten)]
    #[serde(flatten)]
    pub place: PlaceConfig,
    /// The machine's address, for TASKCLUSTER_PUBLIC_IP of tasks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// The machine's address in its own network, which chains of trust state.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// How the cloud calls the machine, which chains of trust state.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// In which region of the cloud it is, which chains of trust state.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Credentials for images of registries; only in the file: a list of tables with prefix, username and password.
    #[arg(skip)]
    #[serde(skip_serializing)]
    pub registries: Vec<Registry>,
    /// The name of the image that a container becomes once it has ended.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) keep_as: Option<String>,
    /// Run nothing but shells.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) idle: bool,
}

/// The program `docker-worker`.
#[derive(Clone, Copy, Debug)]
pub struct DockerProgram;

impl Program for DockerProgram {
    const NAME: &'static str = "docker-worker";
    const ABOUT: &'static str = "Takes tasks from a TaskCluster deployment and runs each in a container of its own";

    type Config = Config;

    fn check(config: &Config, _file: Option<&Path>) -> Result<()> {
        let base = config.worker.base(Self::NAME)?;
        config.shells.place(&base)?;
        config.described("label").map(drop)
    }

    fn common(config: &mut Config) -> &mut WorkerConfig {
        &mut config.worker
    }

    async fn worker(mut config: Config) -> Result<WorkerBuilder> {
        if config.restrict_cpu == Some(true) {
            config.worker.capacity.get_or_insert(config.processors()?.len());
        }
        let base = config.worker.base(Self::NAME)?;
        let label = base.settings.work_dir.to_string_lossy().into_owned();
        let mut described = config.described(&label)?;
        (described.shell_address, described.shell_url) = config.shells.place(&base)?;
        described.cache_dir = Some(base.cache_dir);
        described.max_run_time = base.max_run_time;
        described.live_log_address = base.live_log_address;
        described.live_log_url = base.live_log_url;
        described.live_log_tls = base.live_log_tls;
        described.tunnel = base.tunnel;
        described.log_interval = base.log_interval;
        described.chain_of_trust = base.chain_of_trust;
        for (name, value) in [
            ("publicIpAddress", &config.public_ip),
            ("privateIpAddress", &config.private_ip),
            ("instanceId", &config.instance_id),
            ("instanceType", &config.place.instance_type),
            ("region", &config.region),
        ] {
            if let Some(value) = value {
                described.chain_of_trust = described.chain_of_trust.with_environment(name, value.as_str());
            }
        }
        let builder = described.builder(base.root_url, base.identity, base.settings).await?;
        Ok(builder.credentials(base.credentials))
    }

    async fn examine(config: &Config, examination: &mut Examination) {
        doctor::examine(&config.docker(), examination).await;
        doctor::examine_devices(&config.devices().unwrap_or_default(), examination);
    }

    fn schema(_config: &Config) -> Result<Value> {
        Ok(DockerWorker::payload_schema())
    }

    fn keep(config: &mut Config, task_id: &TaskId) -> Result<String> {
        let image = format!("taskcluster-kept:{task_id}");
        let hint = format!("kept as the image {image}: docker run --rm -it {image} /bin/sh");
        config.keep_as = Some(image);
        Ok(hint)
    }

    fn run_only_shells(config: &mut Config) -> Result<()> {
        config.idle = true;
        Ok(())
    }
}

impl Config {
    /// Those that tasks get one each of.
    fn processors(&self) -> Result<Vec<u32>> {
        if self.restrict_cpu == Some(true) {
            processors::usable().context("cannot tell which processors there are for restrict_cpu")
        } else {
            Ok(Vec::new())
        }
    }

    fn devices(&self) -> Result<Devices> {
        let mut devices = Devices::default()
            .with_loopback_video(self.loopback_video_devices.iter().cloned())
            .with_loopback_audio_cards(self.loopback_audio_cards.iter().copied())
            .with_processors(self.processors()?);
        devices.kvm_tasks = self.kvm_tasks;
        Ok(devices)
    }

    fn docker(&self) -> String {
        self.docker.clone().unwrap_or_else(default_docker)
    }

    fn described(&self, label: &str) -> Result<DockerWorker> {
        let mut options = Options::new(label);
        options.registries = self.registries.clone();
        options.network = self.network.clone();
        options.keep_as = self.keep_as.clone();
        options.idle = self.idle;
        if let Some(seconds) = self.image_fresh_for {
            options.image_fresh_for = Duration::from_secs(seconds);
        }
        options.image_bytes = self.image_bytes.unwrap_or(options.image_bytes);
        let limits = &mut options.limits;
        limits.memory = self.memory_megabytes.map(|megabytes| megabytes.saturating_mul(1 << 20));
        limits.pids = self.pids.or(limits.pids);
        limits.millicpus = match self.cpus {
            Some(cpus) => Some(millicpus(cpus).with_context(|| format!("cpus {cpus} is none: more than 0.01"))?),
            None => None,
        };
        let allowed = &mut options.allowed;
        for (flag, said) in [
            (&mut allowed.privileged, self.allow_privileged),
            (&mut allowed.disable_seccomp, self.allow_disable_seccomp),
            (&mut allowed.ptrace, self.allow_ptrace),
            (&mut allowed.host_shared_memory, self.allow_host_shared_memory),
            (&mut allowed.kvm, self.allow_kvm),
            (&mut allowed.docker_save, self.allow_docker_save),
        ] {
            *flag = said.unwrap_or(*flag);
        }
        options.devices = self.devices()?;
        options.gpus = self.gpus.as_deref().map(str::parse).transpose()?;
        let mut worker = DockerWorker::new(self.docker());
        worker.remove_images = self.remove_images.unwrap_or(worker.remove_images);
        worker.max_silence = self.guards.silence();
        worker.memory_guard = self.guards.memory();
        worker.options = Some(options);
        let public_ip = self.public_ip.clone().map(|address| ("TASKCLUSTER_PUBLIC_IP".to_owned(), address));
        worker.env = self.place.environment().into_iter().chain(public_ip).collect();
        Ok(worker)
    }
}

fn millicpus(cpus: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
    let millicpus = (cpus * 1000.0).round() as u64;
    (millicpus >= 10).then_some(millicpus)
}

/// The engine that everything else on this machine uses.
pub(crate) fn default_docker() -> String {
    let from_env = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    from_env.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_in_the_units_of_the_engine() {
        let config = Config { memory_megabytes: Some(512), cpus: Some(1.5), pids: Some(100), ..Config::default() };
        let limits = config.described("x").unwrap().options.unwrap().limits;
        assert_eq!((limits.memory, limits.millicpus, limits.pids), (Some(536_870_912), Some(1500), Some(100)));
        for cpus in [0.0, -1.0, f64::NAN] {
            assert!(Config { cpus: Some(cpus), ..Config::default() }.described("x").is_err());
        }
    }

    #[test]
    fn processors_are_the_machines_or_nobodys() {
        let devices = |restrict_cpu| Config { restrict_cpu, ..Config::default() }.devices().unwrap().processors;
        assert_eq!((devices(None), devices(Some(true))), (Vec::new(), processors::usable().unwrap()));
        let gpus = |text: &str| Config { gpus: Some(text.to_owned()), ..Config::default() }.described("x");
        assert_eq!(gpus("all").unwrap().options.unwrap().gpus, Some(crate::gpus::Gpus::All));
        assert!(gpus("none").is_err());
    }

    #[test]
    fn what_is_dangerous_is_not_allowed_unless_said() {
        let allowed = |config: Config| config.described("x").unwrap().options.unwrap().allowed;
        let default = allowed(Config::default());
        assert!(!default.privileged && !default.disable_seccomp && !default.kvm && !default.host_shared_memory);
        assert!(allowed(Config { allow_privileged: Some(true), ..Config::default() }).privileged);
    }
}
