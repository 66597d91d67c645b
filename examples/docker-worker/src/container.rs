//! A container, from its description to its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
};
use taskcluster_worker::TaskContext;
use taskcluster_worker::engine::{Door, Sandbox, SandboxBuilder, Volume};
use taskcluster_worker::error::{Error, Result};

use crate::belongings::Belongings;
use crate::devices::{Device, Kind};
use crate::docker::{Docker, Stream, failed};
use crate::engine::Limits;
use crate::gpus::Gpus;
use crate::image::Found;
use crate::leftovers::Mark;
use crate::network::TaskNetwork;
use crate::pipe;
use crate::privileges::Privileges;
use crate::stay::Stay;

mod execution;
mod refusals;

use execution::{ContainerSandbox, Control, Execution};
use refusals::{reason_against_description, reason_not_to_make, reason_not_to_start};

/// What a container is made of, before plugins furnish it.
#[derive(Debug)]
pub(crate) struct Blueprint {
    pub(crate) image: Found,
    pub(crate) command: Vec<String>,
    pub(crate) privileges: Privileges,
    /// The task's own until it has ended.
    pub(crate) devices: Vec<Device>,
    pub(crate) gpus: Option<Gpus>,
    pub(crate) mark: Mark,
    pub(crate) network: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) keep_as: Option<String>,
    /// Nothing is run but what is opened as a shell.
    pub(crate) idle: bool,
}

/// A container that is being furnished.
#[derive(Debug)]
pub(crate) struct ContainerBuilder {
    docker: Docker,
    task: Arc<TaskContext>,
    blueprint: Blueprint,
    env: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    /// Copies of files, and where they are to be.
    files: Vec<(String, tempfile::TempPath)>,
    hosts: Vec<String>,
    door_network: Option<TaskNetwork>,
    belongings: Belongings,
    /// What keeps the container when its command has ended, if somebody wants that.
    stay: Option<Stay>,
}

/// Shared memory of a container in bytes, as tasks expect it: browsers need far more than Docker's own default.
const SHARED_MEMORY: i64 = 1_800_000_000;

/// Where a task finds its video device, unless its payload says something else.
const VIDEO_DEVICE: &str = "TASKCLUSTER_VIDEO_DEVICE";

impl ContainerBuilder {
    pub(crate) fn new(docker: Docker, task: Arc<TaskContext>, blueprint: Blueprint) -> Self {
        let hosts = vec!["localhost.localdomain:127.0.0.1".to_owned()];
        let (env, mounts, files) = (BTreeMap::new(), Vec::new(), Vec::new());
        let belongings = Belongings::new(docker.clone());
        Self { docker, task, blueprint, env, mounts, files, hosts, door_network: None, belongings, stay: None }
    }

    fn name(&self) -> String {
        name_of(&self.task)
    }

    fn run(&self) -> String {
        format!("{}/{}", self.task.task_id(), self.task.run_id())
    }

    fn config(&self) -> ContainerCreateBody {
        let Blueprint { image, privileges, devices, gpus, mark, network, limits, .. } = &self.blueprint;
        let mounts = self.mounts.iter().cloned().chain(self.stay.as_ref().map(Stay::mount)).collect();
        let mut host = HostConfig {
            shm_size: Some(SHARED_MEMORY),
            extra_hosts: Some(self.hosts.clone()),
            mounts: Some(mounts),
            network_mode: self.belongings.network().map(str::to_owned).or_else(|| network.clone()),
            // What it prints is read while it runs, and nowhere else kept.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            memory: limits.memory.map(i64_of),
            // Without it, as much again may be swapped.
            memory_swap: limits.memory.map(i64_of),
            nano_cpus: limits.millicpus.map(|cpus| i64_of(cpus.saturating_mul(1_000_000))),
            pids_limit: limits.pids.map(i64::from),
            cpuset_cpus: devices.iter().find_map(Device::processor).map(|number| number.to_string()),
            devices: (!devices.is_empty()).then(|| devices.iter().flat_map(Device::mappings).collect()),
            device_requests: gpus.as_ref().map(|gpus| vec![gpus.request()]),
            ..HostConfig::default()
        };
        privileges.apply(&mut host);
        let (entrypoint, cmd) = self.command();
        ContainerCreateBody {
            image: Some(image.id.clone()),
            entrypoint,
            cmd,
            env: Some(self.variables()),
            labels: Some(mark.labels(&self.run())),
            tty: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }

    fn variables(&self) -> Vec<String> {
        let video = self.blueprint.devices.iter().find(|device| device.kind() == Kind::LoopbackVideo);
        let video = video.and_then(|device| device.nodes().first()).filter(|_| !self.env.contains_key(VIDEO_DEVICE));
        let video = video.map(|node| format!("{VIDEO_DEVICE}={}", node.display()));
        self.env.iter().map(|(name, value)| format!("{name}={value}")).chain(video).collect()
    }

    /// Entry point and arguments, where they are not the image's own.
    fn command(&self) -> (Option<Vec<String>>, Option<Vec<String>>) {
        let Blueprint { image, command, idle, .. } = &self.blueprint;
        let own = (!command.is_empty()).then(|| command.clone());
        if self.stay.is_none() {
            return (None, own);
        }
        let own = own.unwrap_or_else(|| image.command.clone());
        let whole = if *idle { Vec::new() } else { [image.entry_point.clone(), own].concat() };
        (Some(Stay::entry_point()), Some(whole))
    }

    /// Make the container, which is the run's from now on. Gives its id.
    async fn create(&mut self) -> Result<String> {
        let options = CreateContainerOptionsBuilder::new().name(&self.name()).build();
        match self.docker.api.create_container(Some(options), self.config()).await {
            Ok(created) => {
                self.belongings.own_container(created.id.clone());
                Ok(created.id)
            }
            Err(error) => Err(match reason_not_to_make(&error) {
                Some(reason) => Error::payload(format!("the container cannot be made: {reason}")),
                None => failed("make a container")(error),
            }),
        }
    }

    /// Put the files into the container.
    async fn furnish(&mut self, container: &str) -> Result<()> {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() {
            return Ok(());
        }
        let (packing, chunks) = pipe::write_to_stream(move |out| {
            let mut archive = tar::Builder::new(out);
            for (path, copy) in &files {
                let mut header = tar::Header::new_gnu();
                header.set_size(copy.metadata()?.len());
                header.set_mode(0o644);
                archive.append_data(&mut header, path.trim_start_matches('/'), std::fs::File::open(copy)?)?;
            }
            archive.finish()
        });
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let body = bollard::body_try_stream(chunks);
        let uploaded = self.docker.api.upload_to_container(container, Some(options), body).await;
        let packed = packing.await.map_err(|error| Error::worker_caused("cannot pack mounted files", error))?;
        uploaded.map_err(failed("put files into a container"))?;
        packed.map_err(|error| Error::worker_caused("cannot pack mounted files", error))
    }

    async fn start_container(&mut self) -> Result<Running> {
        if self.task.is_held() || self.blueprint.idle {
            self.stay = Some(Stay::new(self.task.scratch())?);
        }
        let container = self.create().await?;
        self.furnish(&container).await?;
        let output = self.docker.attach(&container).await?;
        match self.docker.api.start_container(&container, None::<StartContainerOptions>).await {
            Ok(()) => Ok(Running { container, output: Some(output), not_started: None }),
            Err(error) => match reason_not_to_start(&error) {
                Some(reason) => Ok(Running { container, output: None, not_started: Some(reason) }),
                None => Err(match reason_against_description(&error) {
                    Some(reason) => Error::payload(format!("the container cannot be started: {reason}")),
                    None => failed("start a container")(error),
                }),
            },
        }
    }
}

/// The name of a run's container, which no other run of any task has.
pub(crate) fn name_of(task: &TaskContext) -> String {
    format!("taskcluster-{}-{}", task.task_id(), task.run_id())
}

fn i64_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl SandboxBuilder for ContainerBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn mount_directory(&mut self, path: &str, volume: Volume) -> Result<()> {
        let target = absolute(&self.blueprint.image.working_dir, path);
        if self.mounts.iter().any(|mount| mount.target.as_ref() == Some(&target)) {
            return Err(Error::payload(format!("two mounts are at {path:?}")));
        }
        self.mounts.push(Mount {
            target: Some(target),
            source: Some(volume.path.to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(volume.read_only),
            ..Mount::default()
        });
        Ok(())
    }

    async fn add_file(&mut self, path: &str, source: &Path) -> Result<()> {
        let failed = |error| Error::worker_caused("cannot mount a file", error);
        let copy = tempfile::NamedTempFile::new_in(self.task.scratch()).map_err(failed)?.into_temp_path();
        tokio::fs::copy(source, &copy).await.map_err(failed)?;
        self.files.push((absolute(&self.blueprint.image.working_dir, path), copy));
        Ok(())
    }

    async fn open_door(&mut self, host: &str) -> Result<Door> {
        let network = match self.door_network.take() {
            Some(network) => network,
            None => {
                let (name, labels) = (self.name(), self.blueprint.mark.labels(&self.run()));
                TaskNetwork::create(&self.docker, &mut self.belongings, name, labels).await?
            }
        };
        let network = self.door_network.insert(network);
        self.hosts.push(network.host_entry(host));
        network.open_door(host).await
    }

    async fn start(mut self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        match self.start_container().await {
            Ok(running) => {
                let Self { task, docker, belongings, blueprint, stay, .. } = *self;
                let Blueprint { image, devices, keep_as, idle, limits, .. } = blueprint;
                let control = Control::of(&docker, &running.container);
                let home = Home { container: running.container, belongings, image, _devices: devices, keep_as };
                let Running { output, not_started, .. } = running;
                let execution = Execution {
                    docker,
                    task,
                    home,
                    output,
                    not_started,
                    stay,
                    idle,
                    memory: limits.memory,
                    control: control.clone(),
                };
                Ok(Box::new(ContainerSandbox { execution, control }))
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    async fn discard(self: Box<Self>) {
        self.belongings.remove().await;
    }
}

/// A path of the payload in a container whose commands start in `working_dir`.
pub(crate) fn absolute(working_dir: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", working_dir.trim_end_matches('/')) }
}

/// A container after the attempt to start it.
struct Running {
    container: String,
    output: Option<Stream>,
    not_started: Option<String>,
}

/// Where a task has run, and what is to be removed afterwards.
#[derive(Debug)]
pub(crate) struct Home {
    /// The container's id.
    pub(crate) container: String,
    pub(crate) belongings: Belongings,
    /// What it was made of, which stays as long.
    pub(crate) image: Found,
    pub(crate) _devices: Vec<Device>,
    /// The image that the container is to become.
    pub(crate) keep_as: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn relative_paths_begin_where_commands_start() {
        assert_eq!(absolute("/", "out/a"), "/out/a");
        assert_eq!(absolute("/builds/worker", "out"), "/builds/worker/out");
        assert_eq!(absolute("/builds", "/out"), "/out");
    }
}
