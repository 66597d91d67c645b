//! The payload: what a task may say to this worker, apart from what its plugins read as they come.

use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::plugins::{BACKING_LOG, BackingLogSettings, LIVE_LOG, LiveLogSettings};

/// What the engine itself reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandPayload {
    /// Commands, each a program with its arguments. They run one after the other until one fails.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<Argv>,
    /// Groups of the machine that the task's user is in. Each takes the scope `generic-worker:os-group:<task queue>/<group>`.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) os_groups: Vec<String>,
    #[serde(default)]
    pub(crate) features: EngineFeatures,
    /// From where the task can call its proxy.
    #[serde(default)]
    taskcluster_proxy_interface: ProxyInterface,
    /// Accepted, and ignored: tasks are no longer superseded.
    #[serde(default, rename = "supersederUrl")]
    _superseder_url: Option<String>,
}

/// A program with its arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Argv(#[schemars(length(min = 1))] pub(crate) Vec<String>);

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EngineFeatures {
    /// Whether the log tells what each command took of processor and memory.
    pub(crate) resource_monitor: bool,
    /// Whether the commands run as the user of the worker. Takes the scope `generic-worker:run-task-as-current-user:<task queue>`,
    /// and a worker that allows it.
    pub(crate) run_task_as_current_user: bool,
    /// A loopback video device of the task's own, named by `TASKCLUSTER_VIDEO_DEVICE`. Takes the scope
    /// `generic-worker:loopback-video` or `generic-worker:loopback-video:<task queue>`, and a worker that has one.
    pub(crate) loopback_video: bool,
    /// A loopback audio device of the task's own, in `/dev/snd`. Takes the scope `generic-worker:loopback-audio` or
    /// `generic-worker:loopback-audio:<task queue>`, and a worker that has one.
    pub(crate) loopback_audio: bool,
}

impl Default for EngineFeatures {
    fn default() -> Self {
        Self { resource_monitor: true, run_task_as_current_user: false, loopback_video: false, loopback_audio: false }
    }
}

/// A network interface of the machine.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ProxyInterface {
    /// The loopback interface.
    #[default]
    Localhost,
    /// The bridge of Docker's network, for containers of the task.
    DockerBridge,
}

impl CommandPayload {
    /// Refuse what a schema cannot.
    pub(crate) fn check(&self) -> Result<()> {
        if self.command.iter().flat_map(|argv| &argv.0).any(|argument| argument.contains('\0')) {
            return Err(Error::payload("payload/command: an argument of a program cannot contain the character NUL"));
        }
        Ok(())
    }

    /// Whether the proxy is for containers of the task.
    pub(crate) fn wants_bridge(&self) -> bool {
        self.taskcluster_proxy_interface == ProxyInterface::DockerBridge
    }
}

/// How the log is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct KeptLog {
    logs: BackingName,
    features: BackingLogFeature,
}

/// Names of the artifacts that are the log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct BackingName {
    /// The one that holds the log once the task has ended.
    backing: String,
}

impl Default for BackingName {
    fn default() -> Self {
        Self { backing: BACKING_LOG.to_owned() }
    }
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct BackingLogFeature {
    /// Whether the log is kept when the task has ended.
    backing_log: bool,
}

impl Default for BackingLogFeature {
    fn default() -> Self {
        Self { backing_log: true }
    }
}

impl From<KeptLog> for BackingLogSettings {
    fn from(payload: KeptLog) -> Self {
        Self { artifact: payload.features.backing_log.then_some(payload.logs.backing) }
    }
}

/// Whether the log can be read meanwhile.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ReadableLog {
    logs: LiveName,
    features: LiveLogFeature,
}

/// Names of the artifacts that are the log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct LiveName {
    /// The one by which the log is found at any time.
    live: String,
    // Declared once, where the log is kept.
    #[schemars(skip)]
    backing: String,
}

impl Default for LiveName {
    fn default() -> Self {
        Self { live: LIVE_LOG.to_owned(), backing: BACKING_LOG.to_owned() }
    }
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct LiveLogFeature {
    /// Whether the log can be read while the task runs.
    live_log: bool,
    // Declared once, where the log is kept.
    #[schemars(skip)]
    backing_log: bool,
}

impl Default for LiveLogFeature {
    fn default() -> Self {
        Self { live_log: true, backing_log: true }
    }
}

impl From<ReadableLog> for LiveLogSettings {
    fn from(payload: ReadableLog) -> Self {
        let ReadableLog { logs, features } = payload;
        Self { artifact: features.live_log.then_some(logs.live), backing: features.backing_log.then_some(logs.backing) }
    }
}
