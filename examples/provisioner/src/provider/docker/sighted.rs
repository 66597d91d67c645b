//! What there is of a container, as far as others want to know.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, HostConfig, Mount,
};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;

use super::engine::ask;
use super::mark::INSTANCE;
use super::stops::Stops;
use super::{Phase, Result, Sighting};
use crate::provider::last_lines;

/// So much of a log is read for its last line, and for so long.
const TAIL: usize = 64 * 1024;
const READING: Duration = Duration::from_secs(5);

/// A container that somebody asked for by name.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The engine's name of it.
    pub(super) id: String,
    pub(super) labels: HashMap<String, String>,
    pub(super) phase: Phase,
    mounts: Vec<Mount>,
}

impl Found {
    pub(super) fn of(inspected: ContainerInspectResponse) -> Option<Self> {
        let phase = match inspected.state?.status? {
            ContainerStateStatusEnum::CREATED => Phase::Requested,
            ContainerStateStatusEnum::RUNNING
            | ContainerStateStatusEnum::PAUSED
            | ContainerStateStatusEnum::RESTARTING
            | ContainerStateStatusEnum::EMPTY => Phase::Alive,
            ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::STOPPING => Phase::Ending,
            ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD => Phase::Gone,
        };
        let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
        Some(Self { id: inspected.id?, labels, phase, mounts: mounts(inspected.host_config) })
    }

    /// Whether it would show what is asked for now.
    pub(super) fn shows(&self, body: &ContainerCreateBody) -> bool {
        let shown = |mounts: &[Mount]| -> Vec<_> { mounts.iter().map(|mount| mount.source.clone()).collect() };
        shown(&self.mounts) == shown(&mounts(body.host_config.clone()))
    }
}

fn mounts(host_config: Option<HostConfig>) -> Vec<Mount> {
    host_config.and_then(|config| config.mounts).unwrap_or_default()
}

/// What is to be said of a listed container; nothing if it is none of ours, or gone since.
pub(super) async fn sighting(
    api: &bollard::Docker,
    summary: ContainerSummary,
    stops: &Stops,
) -> Result<Option<Sighting>> {
    let instance_id = summary.labels.as_ref().and_then(|labels| labels.get(INSTANCE)).cloned();
    let (Some(provider_id), Some(instance_id)) = (summary.id, instance_id) else { return Ok(None) };
    let phase = match summary.state {
        Some(ContainerSummaryStateEnum::CREATED) => Phase::Requested,
        Some(ContainerSummaryStateEnum::REMOVING | ContainerSummaryStateEnum::STOPPING) => Phase::Ending,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD) => Phase::Gone,
        Some(
            ContainerSummaryStateEnum::RUNNING
            | ContainerSummaryStateEnum::PAUSED
            | ContainerSummaryStateEnum::RESTARTING
            | ContainerSummaryStateEnum::EMPTY,
        )
        | None => match stops.is_told(&provider_id) {
            true => Phase::Ending,
            false => Phase::Alive,
        },
    };
    let says = match phase {
        Phase::Gone => Some(says(api, &provider_id).await?),
        Phase::Requested | Phase::Alive | Phase::Ending => None,
    };
    Ok(Some(Sighting { provider_id, instance_id, phase, place: None, says }))
}

/// How it ended, and its last words.
async fn says(api: &bollard::Docker, container: &str) -> Result<String> {
    let inspected = ask("look at a container", api.inspect_container(container, None::<InspectContainerOptions>));
    let Ok(inspected) = inspected.await? else { return Ok("its container is gone".to_owned()) };
    let mut text = how(&inspected.state.unwrap_or_default());
    if let Some(line) = last_lines(&tail(api, container).await) {
        let _ = write!(text, ": {line}");
    }
    Ok(text)
}

fn how(state: &ContainerState) -> String {
    let mut text = format!("it ended with exit code {}", state.exit_code.unwrap_or_default());
    if state.oom_killed == Some(true) {
        text += ", having run out of memory";
    }
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        let _ = write!(text, " ({error})");
    }
    text
}

/// The end of its log, as far as it can be had: nobody needs it more than the rest.
async fn tail(api: &bollard::Docker, container: &str) -> Vec<u8> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("10").build();
    let mut log = std::pin::pin!(api.logs(container, Some(options)));
    let mut text = Vec::new();
    let reading = async {
        while let Some(Ok(chunk)) = log.next().await {
            text.extend_from_slice(chunk.as_ref());
            text.drain(..text.len().saturating_sub(TAIL));
        }
    };
    // What was read by then has to do.
    let _ = tokio::time::timeout(READING, reading).await;
    text
}
