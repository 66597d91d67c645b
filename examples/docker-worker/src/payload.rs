//! The payload: what a task may say to this worker.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::plugins::artifacts::{Declared, Kind};
use taskcluster_worker::plugins::{BackingLogSettings, LIVE_LOG, LiveLogSettings, RetriedCodes};

/// What the engine itself reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPayload {
    /// The image that the container is made of.
    pub(crate) image: Image,
    /// The program with its arguments, given to the image's entry point if it has one. Default: what the image says.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// What the container may do beyond others.
    #[serde(default)]
    pub(crate) capabilities: Capabilities,
    #[serde(default)]
    pub(crate) features: ContainerFeatures,
    /// Accepted, and ignored: tasks are no longer superseded.
    #[serde(default, rename = "supersederUrl")]
    _superseder_url: Option<String>,
}

/// An image: its name, or where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Image {
    /// Name of an image of a registry, with a tag or digest. Default tag: `latest`.
    Name(String),
    From(ImageFrom),
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub(crate) enum ImageFrom {
    /// A registry.
    #[serde(rename = "docker-image")]
    Registry {
        /// Name with a tag or digest. Default tag: `latest`.
        name: String,
    },
    /// An artifact of the task that the index knows by a namespace.
    #[serde(rename = "indexed-image")]
    Index {
        /// The namespace.
        namespace: String,
        /// Name of the artifact: a `.tar`, `.tar.lz4` or `.tar.zst`, as `docker save` writes it.
        path: String,
    },
    /// An artifact of a task.
    #[serde(rename = "task-image", rename_all = "camelCase")]
    Task {
        /// The task; its latest run counts.
        #[schemars(with = "String")]
        task_id: TaskId,
        /// Name of the artifact: a `.tar`, `.tar.lz4` or `.tar.zst`, as `docker save` writes it.
        path: String,
    },
}

/// What a container may do beyond others.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Capabilities {
    /// Whether it may do everything on this machine. Needs the scope `docker-worker:capability:privileged`, and a worker that allows it.
    pub(crate) privileged: bool,
    /// Whether system calls are not filtered. Needs the scope `docker-worker:capability:disableSeccomp`, and a worker that allows it.
    pub(crate) disable_seccomp: bool,
    pub(crate) devices: Devices,
}

/// Devices of the machine that the container sees. Each needs the scope `docker-worker:capability:device:<name>`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Devices {
    /// A video device that plays back what is written to it.
    pub(crate) loopback_video: bool,
    /// A sound device that plays back what is written to it.
    pub(crate) loopback_audio: bool,
    /// The shared memory of the machine, at `/dev/shm`.
    pub(crate) host_shared_memory: bool,
    /// Virtual machines, at `/dev/kvm`.
    pub(crate) kvm: bool,
}

/// What the worker adds to the task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerFeatures {
    /// Whether processes may trace each other. Needs the scope `docker-worker:feature:allowPtrace`.
    pub(crate) allow_ptrace: bool,
}

/// What is kept: a map from the name of an artifact to what it is made of.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ArtifactsByName {
    /// What to keep once the container has ended, by name.
    artifacts: BTreeMap<String, KeptArtifact>,
    features: ArtifactsFeature,
}

/// A file or directory to keep.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeptArtifact {
    /// What is expected at the path. A `volume` is a directory that the worker mounts there, empty.
    #[serde(rename = "type")]
    kind: Kind,
    /// Where it is in the container.
    path: String,
    /// Until when it is kept. Default: as long as the task.
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    expires: Option<Timestamp>,
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct ArtifactsFeature {
    /// Whether anything of `artifacts` is kept.
    artifacts: bool,
}

impl Default for ArtifactsFeature {
    fn default() -> Self {
        Self { artifacts: true }
    }
}

impl From<ArtifactsByName> for Vec<Declared> {
    /// None of them is required: a task that must not end without an artifact looks for it itself.
    fn from(payload: ArtifactsByName) -> Self {
        let kept = payload.artifacts.into_iter().filter(|_| payload.features.artifacts);
        kept.map(|(name, kept)| Declared::new(kept.kind, kept.path, name).required(false).expires(kept.expires))
            .collect()
    }
}

/// Where the log is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct KeptLog {
    /// Name of the artifact that is the log at any time. When the task has ended, it leads to another, with `_backing` in its name.
    log: String,
    features: BulkLogFeature,
}

impl Default for KeptLog {
    fn default() -> Self {
        Self { log: LIVE_LOG.to_owned(), features: BulkLogFeature::default() }
    }
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct BulkLogFeature {
    /// Accepted, and ignored: the whole log is always kept.
    #[serde(rename = "bulkLog")]
    _bulk_log: bool,
}

impl Default for BulkLogFeature {
    fn default() -> Self {
        Self { _bulk_log: true }
    }
}

impl From<KeptLog> for BackingLogSettings {
    fn from(payload: KeptLog) -> Self {
        Self { artifact: Some(backing(&payload.log)) }
    }
}

/// Whether the log can be read meanwhile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ReadableLog {
    // Declared once, where it is kept.
    #[schemars(skip)]
    log: String,
    features: LiveLogFeature,
}

impl Default for ReadableLog {
    fn default() -> Self {
        Self { log: LIVE_LOG.to_owned(), features: LiveLogFeature::default() }
    }
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct LiveLogFeature {
    /// Whether the log can be read while the task runs.
    local_live_log: bool,
}

impl Default for LiveLogFeature {
    fn default() -> Self {
        Self { local_live_log: true }
    }
}

impl From<ReadableLog> for LiveLogSettings {
    fn from(payload: ReadableLog) -> Self {
        let backing = Some(backing(&payload.log));
        Self { artifact: payload.features.local_live_log.then_some(payload.log), backing }
    }
}

/// The name of the artifact that holds the whole log: `_backing` before the extension of `log`.
fn backing(log: &str) -> String {
    let (folder, file) = log.rsplit_once('/').map_or(("", log), |(_, file)| log.split_at(log.len() - file.len()));
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{folder}{stem}_backing.{extension}"),
        _ => format!("{folder}{file}_backing"),
    }
}

/// Exit codes that are expected to pass.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RetryOnExitStatus {
    on_exit_status: OnExitStatus,
}

/// What to do for particular exit codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct OnExitStatus {
    /// Exit codes, other than 0, after which the run is tried again.
    retry: Vec<i64>,
}

impl From<RetryOnExitStatus> for RetriedCodes {
    /// Codes that no process ends with are never met.
    fn from(payload: RetryOnExitStatus) -> Self {
        Self(payload.on_exit_status.retry.into_iter().filter_map(|code| i32::try_from(code).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskcluster_worker::plugins::BACKING_LOG;

    #[test]
    fn the_backing_log_stands_beside_the_log() {
        assert_eq!(backing(LIVE_LOG), BACKING_LOG);
        for (log, expected) in [
            ("log", "log_backing"),
            ("a.b/log", "a.b/log_backing"),
            ("x/.log", "x/.log_backing"),
            ("a/b.tar.gz", "a/b.tar_backing.gz"),
        ] {
            assert_eq!(backing(log), expected);
        }
    }
}
