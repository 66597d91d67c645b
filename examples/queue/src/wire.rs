//! From the types of the domain to those of the wire.

use serde_json::Value;
use taskcluster::queue as wire;
use taskcluster_core::ids::{Priority, TaskQueueId};
use taskcluster_core::time::Timestamp;

use crate::artifact::Artifact;
use crate::group::Group;
use crate::store::StoreError;
use crate::task::{ReasonCreated, ReasonResolved, Resolution, Run, RunState, State, Task};
use crate::worker::{Provisioner, SeenWorker, TaskQueue};

/// A name that was stored as it had been checked.
pub(crate) fn task_queue_id(name: &str) -> TaskQueueId {
    serde_json::from_value(Value::String(name.to_owned())).expect("any text is taken as a name")
}

fn reason_created(reason: ReasonCreated) -> wire::ReasonCreated {
    match reason {
        ReasonCreated::Scheduled => wire::ReasonCreated::Scheduled,
        ReasonCreated::Retry => wire::ReasonCreated::Retry,
        ReasonCreated::TaskRetry => wire::ReasonCreated::TaskRetry,
        ReasonCreated::Rerun => wire::ReasonCreated::Rerun,
        ReasonCreated::Exception => wire::ReasonCreated::Exception,
    }
}

fn reason_resolved(reason: ReasonResolved) -> wire::ReasonResolved {
    match reason {
        ReasonResolved::Completed => wire::ReasonResolved::Completed,
        ReasonResolved::Failed => wire::ReasonResolved::Failed,
        ReasonResolved::DeadlineExceeded => wire::ReasonResolved::DeadlineExceeded,
        ReasonResolved::Canceled => wire::ReasonResolved::Canceled,
        ReasonResolved::ClaimExpired => wire::ReasonResolved::ClaimExpired,
        ReasonResolved::WorkerShutdown => wire::ReasonResolved::WorkerShutdown,
        ReasonResolved::MalformedPayload => wire::ReasonResolved::MalformedPayload,
        ReasonResolved::ResourceUnavailable => wire::ReasonResolved::ResourceUnavailable,
        ReasonResolved::InternalError => wire::ReasonResolved::InternalError,
        ReasonResolved::IntermittentTask => wire::ReasonResolved::IntermittentTask,
        ReasonResolved::Superseded => wire::ReasonResolved::Superseded,
    }
}

fn run(number: usize, run: &Run) -> wire::Run {
    let state = match &run.state {
        RunState::Pending => wire::RunState::Pending,
        RunState::Running(_) => wire::RunState::Running,
        RunState::Resolved { resolution: Resolution::Completed, .. } => wire::RunState::Completed,
        RunState::Resolved { resolution: Resolution::Failed, .. } => wire::RunState::Failed,
        RunState::Resolved { resolution: Resolution::Exception(_), .. } => wire::RunState::Exception,
    };
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut shown = wire::Run::new(number, state, reason_created(run.reason_created), run.scheduled);
    if let Some(claim) = run.claim() {
        shown.worker_group = Some(claim.worker.group.clone());
        shown.worker_id = Some(claim.worker.id.clone());
        shown.taken_until = Some(claim.taken_until);
        shown.started = Some(claim.started);
    }
    if let RunState::Resolved { resolution, resolved, .. } = &run.state {
        shown.reason_resolved = Some(reason_resolved(resolution.reason()));
        shown.resolved = Some(*resolved);
    }
    shown
}

/// The status of a task.
pub(crate) fn status(task: &Task) -> wire::TaskStatus {
    let state = match task.state() {
        State::Unscheduled => wire::TaskState::Unscheduled,
        State::Pending => wire::TaskState::Pending,
        State::Running => wire::TaskState::Running,
        State::Completed => wire::TaskState::Completed,
        State::Failed => wire::TaskState::Failed,
        State::Exception => wire::TaskState::Exception,
    };
    let mut status = wire::TaskStatus::new(
        task.task_id,
        task.provisioner_id(),
        task.worker_type(),
        task_queue_id(&task.task_queue_id),
        task.scheduler_id.as_str(),
        task.project_id.as_str(),
        task.task_group_id,
        task.deadline,
        task.expires,
        task.retries_left,
        state,
        task.runs.iter().enumerate().map(|(number, each)| run(number, each)),
    );
    status.priority = Some(task.priority.clone());
    status
}

/// A stored definition, with the priority that the task has now.
pub(crate) fn definition(text: &str, priority: &Priority) -> Result<wire::TaskDefinition, StoreError> {
    let mut definition: wire::TaskDefinition =
        serde_json::from_str(text).map_err(|error| StoreError::corrupt("definition", &error))?;
    definition.priority = priority.clone();
    Ok(definition)
}

/// A task with its definition and its status.
pub(crate) fn with_status((task, text): &(Task, String)) -> Result<wire::TaskDefinitionAndStatus, StoreError> {
    Ok(wire::TaskDefinitionAndStatus::new(status(task), definition(text, &task.priority)?))
}

/// A task group.
pub(crate) fn group(group: &Group) -> wire::TaskGroup {
    let mut shown = wire::TaskGroup::new(group.task_group_id, group.scheduler_id.as_str(), group.expires);
    shown.sealed = group.sealed;
    shown
}

/// What is known of an artifact.
pub(crate) fn artifact(artifact: &Artifact) -> wire::Artifact {
    let kind = wire::ArtifactStorageType::from(artifact.storage.kind().as_str());
    let mut shown = wire::Artifact::new(kind, artifact.name.as_str(), artifact.expires, artifact.content_type.as_str());
    shown.content_length = artifact.content_length.and_then(|length| u64::try_from(length).ok());
    shown
}

/// A task queue.
pub(crate) fn task_queue(queue: &TaskQueue) -> wire::TaskQueue {
    wire::TaskQueue::new(
        task_queue_id(&queue.task_queue_id),
        wire::Stability::from(queue.stability.as_str()),
        queue.description.as_str(),
        queue.expires,
        queue.last_date_active,
    )
}

/// A task queue in the words of old.
pub(crate) fn worker_type(queue: &TaskQueue) -> wire::WorkerType {
    let (provisioner, worker_type) = queue.task_queue_id.split_once('/').unwrap_or((&queue.task_queue_id, ""));
    wire::WorkerType::new(
        task_queue_id(&queue.task_queue_id),
        provisioner,
        worker_type,
        wire::Stability::from(queue.stability.as_str()),
        queue.description.as_str(),
        queue.expires,
        queue.last_date_active,
    )
}

/// A provisioner.
pub(crate) fn provisioner(provisioner: &Provisioner) -> wire::Provisioner {
    wire::Provisioner::new(
        provisioner.provisioner_id.as_str(),
        wire::Stability::Experimental,
        "",
        provisioner.expires,
        provisioner.last_date_active,
    )
}

fn recent(seen: &SeenWorker) -> impl DoubleEndedIterator<Item = wire::RecentTask> {
    seen.recent_tasks.iter().map(|recent| wire::RecentTask::new(recent.task_id, recent.run_id))
}

/// A worker with all that is known of it.
pub(crate) fn worker(seen: &SeenWorker, now: Timestamp) -> wire::Worker {
    let (provisioner, worker_type) = seen.task_queue_id.split_once('/').unwrap_or((&seen.task_queue_id, ""));
    let mut shown = wire::Worker::new(
        provisioner,
        worker_type,
        seen.worker.group.as_str(),
        seen.worker.id.as_str(),
        seen.first_claim,
        seen.expires,
        recent(seen),
    );
    shown.task_queue_id = Some(task_queue_id(&seen.task_queue_id));
    shown.last_date_active = seen.last_date_active;
    shown.quarantine_until = seen.quarantine_until.filter(|until| *until > now);
    let details = seen.quarantine_details.iter().map(|each| {
        wire::QuarantineEntry::new(
            each.client_id.as_str(),
            each.updated_at,
            each.quarantine_until,
            each.quarantine_info.as_str(),
        )
    });
    shown.quarantine_details = Some(details.collect());
    shown
}

/// A worker as it stands in a list.
pub(crate) fn listed_worker(seen: &SeenWorker, now: Timestamp) -> wire::ListedWorker {
    let mut shown = wire::ListedWorker::new(seen.worker.group.as_str(), seen.worker.id.as_str(), seen.first_claim);
    shown.last_date_active = seen.last_date_active;
    shown.quarantine_until = seen.quarantine_until.filter(|until| *until > now);
    shown.latest_task = recent(seen).next_back();
    shown
}
