//! A container, from its description to its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error as ApiError;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
};
use taskcluster_worker::TaskContext;
use taskcluster_worker::engine::{Door, Exit, ResultSet, Sandbox, SandboxBuilder, SandboxHandle, Volume};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellRequest};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::belongings::Belongings;
use crate::devices::{Device, Kind};
use crate::docker::{Docker, Stream, answer, failed};
use crate::engine::Limits;
use crate::gpus::Gpus;
use crate::image::Found;
use crate::leftovers::Mark;
use crate::network::TaskNetwork;
use crate::pipe;
use crate::privileges::Privileges;
use crate::results::ContainerResults;
use crate::shell;
use crate::stay::Stay;

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

/// Why the command of a container could not be started, if that is what went wrong.
fn reason_not_to_start(error: &ApiError) -> Option<String> {
    let (_, message) = answer(error)?;
    // "exec: \"x\": executable file not found in $PATH: unknown", after what the runtime says of itself.
    let reason = message.find("exec: ").map(|at| message[at + "exec: ".len()..].trim_end_matches(": unknown"))?;
    Some(reason.to_owned())
}

/// What is wrong with the description of a container, if its payload is to blame: names of variables, places of mounts.
fn reason_not_to_make(error: &ApiError) -> Option<&str> {
    match answer(error)? {
        // A folder of the worker's own is gone.
        (_, message) if message.contains("bind source path does not exist") => None,
        (400, message) => Some(message),
        (_, message) => message.contains("is not a directory").then_some(message),
    }
}

/// What payload and image together make impossible, before any program of the task runs: a directory is mounted where the image has
/// a file, or the image names a user or a directory that it has not. It would be the same another time, and on another machine.
fn reason_against_description(error: &ApiError) -> Option<&str> {
    const WORDS: [&str; 6] = [
        "not a directory",
        "unable to find user",
        "unable to find group",
        "no matching entries in passwd file",
        "no matching entries in group file",
        "chdir to cwd",
    ];
    let (_, message) = answer(error)?;
    WORDS.iter().any(|word| message.contains(word)).then_some(message)
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
                let control = Arc::new(Control {
                    docker: docker.clone(),
                    container: running.container.clone(),
                    kill: CancellationToken::new(),
                    over: AtomicBool::new(false),
                    runtime: tokio::runtime::Handle::current(),
                });
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

/// A container whose command runs.
#[derive(Debug)]
struct ContainerSandbox {
    execution: Execution,
    control: Arc<Control>,
}

#[async_trait]
impl Sandbox for ContainerSandbox {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        self.control.clone()
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        Ok(Box::new(self.execution.run().await?))
    }
}

/// Reaches a container that runs.
#[derive(Debug)]
struct Control {
    docker: Docker,
    container: String,
    kill: CancellationToken,
    /// Nothing may be started any more.
    over: AtomicBool,
    runtime: tokio::runtime::Handle,
}

/// How long Docker may take to say how much memory a container holds: it is asked when memory is short, and everything slow.
const TELL_MEMORY: Duration = Duration::from_secs(3);

#[async_trait]
impl SandboxHandle for Control {
    async fn kill(&self) {
        self.kill.cancel();
    }

    fn memory(&self) -> Option<u64> {
        let asking = async { tokio::time::timeout(TELL_MEMORY, self.docker.memory(&self.container)).await };
        self.runtime.block_on(asking).ok().flatten()
    }

    async fn open_shell(&self, request: &ShellRequest) -> Result<Shell> {
        if self.kill.is_cancelled() || self.over.load(Ordering::SeqCst) {
            return Err(Error::task("the task is over"));
        }
        shell::open(&self.docker, &self.container, request).await
    }
}

/// The command under way.
#[derive(Debug)]
struct Execution {
    docker: Docker,
    task: Arc<TaskContext>,
    home: Home,
    output: Option<Stream>,
    not_started: Option<String>,
    stay: Option<Stay>,
    idle: bool,
    /// The most memory that it may take, in bytes.
    memory: Option<u64>,
    control: Arc<Control>,
}

/// How long a command has to end politely, so that a run which is cancelled ends within two seconds, one of which may pass before the
/// worker knows.
const GRACE: Duration = Duration::from_millis(500);

/// How long the engine may take to ask a command to end that is not the container's first process.
const TERMINATE: Duration = Duration::from_millis(300);

/// How long output may take to be read once the container has ended.
const DRAIN: Duration = Duration::from_secs(10);

impl Execution {
    async fn run(mut self) -> Result<ContainerResults> {
        if let Some(reason) = self.not_started.take() {
            return Ok(self.results(Exit::NotStarted(reason)));
        }
        let copying = self.output.take().map(|output| {
            let task = self.task.clone();
            #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
            AbortOnDropHandle::new(tokio::spawn(async move { copy(output, &task).await }))
        });
        let id = self.home.container.clone();
        let control = self.control.clone();
        let staying = async {
            match &mut self.stay {
                Some(stay) => stay.attend(&self.task, !self.idle).await,
                None => std::future::pending().await,
            }
        };
        let code = tokio::select! {
            code = self.docker.ended(&id) => Some(code?),
            () = control.kill.cancelled() => None,
            never = staying => match never {},
        };
        let exit = match code {
            Some(code) => Exit::Code(code),
            None => {
                self.end(&id).await?;
                Exit::Killed
            }
        };
        control.over.store(true, Ordering::SeqCst);
        if let Some(copying) = copying
            && tokio::time::timeout(DRAIN, copying).await.is_err()
        {
            self.task.log().warn("the end of the output is lost: Docker does not give it");
        }
        let ran_out = self.docker.ran_out_of_memory(&id).await;
        let exit = self.judge(exit, ran_out)?;
        Ok(self.results(exit))
    }

    /// A container that ran out of memory has failed, also where only a part of it was ended for that and the rest went on.
    fn judge(&self, exit: Exit, ran_out: Result<bool>) -> Result<Exit> {
        match exit {
            Exit::Code(code) => {
                Ok(if ran_out? { Exit::OutOfMemory { code, limit: self.memory } } else { Exit::Code(code) })
            }
            // It may have hung just because of that, which is worth a line, but nothing to give up for.
            Exit::Killed if ran_out.unwrap_or(false) => {
                let before = Exit::OutOfMemory { code: 137, limit: self.memory };
                self.task.log().error(format!("before it was ended: {before}"));
                Ok(Exit::Killed)
            }
            exit => Ok(exit),
        }
    }

    /// End the container, politely at first. What keeps it is its first process, which passes nothing on to the command.
    async fn end(&mut self, id: &str) -> Result<()> {
        if let Some(stay) = &mut self.stay {
            stay.let_go().await;
            if let Ok(Err(error)) = tokio::time::timeout(TERMINATE, self.docker.terminate(id)).await {
                tracing::debug!(error = error.reasons().join("; "), "a command is not asked to end");
            }
        }
        self.docker.stop(id, self.home.image.stop_signal.as_deref(), GRACE).await
    }

    fn results(self, exit: Exit) -> ContainerResults {
        ContainerResults::new(exit, self.docker, self.home, &self.task)
    }
}

/// Copy what the container prints into the log until it has ended.
async fn copy(mut output: Stream, task: &TaskContext) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match output.read(&mut buffer).await {
            Ok(0) => return,
            Ok(read) => task.log().write(&buffer[..read]),
            Err(error) => {
                task.log().error(format!("cannot read the output: {error}"));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_started_is_told_from_an_engine_that_fails() {
        let error =
            |message: &str| ApiError::DockerResponseServerError { status_code: 400, message: message.to_owned() };
        let started = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
                       process: exec: \"nosuch\": executable file not found in $PATH: unknown";
        let reason = reason_not_to_start(&error(started));
        assert_eq!(reason.as_deref(), Some("\"nosuch\": executable file not found in $PATH"));
        assert_eq!(reason_not_to_start(&error("driver failed programming external connectivity")), None);
    }

    #[test]
    fn what_payload_and_image_make_impossible_is_told_from_an_engine_that_fails() {
        let error =
            |message: &str| ApiError::DockerResponseServerError { status_code: 400, message: message.to_owned() };
        for message in [
            "error mounting \"/caches/0\" to rootfs at \"/etc/passwd\": not a directory: unknown",
            "unable to find user nosuch: no matching entries in passwd file",
        ] {
            assert_eq!(reason_against_description(&error(message)), Some(message));
        }
        assert_eq!(reason_against_description(&error("no space left on device")), None);
        assert_eq!(reason_not_to_make(&error("invalid mount config: bind source path does not exist: /x")), None);
    }

    #[test]
    fn relative_paths_begin_where_commands_start() {
        assert_eq!(absolute("/", "out/a"), "/out/a");
        assert_eq!(absolute("/builds/worker", "out"), "/builds/worker/out");
        assert_eq!(absolute("/builds", "/out"), "/out");
    }
}
