//! The events of the queue: exchange, routing key and body, written to the outbox in the transaction that they report.

use serde::Serialize;
use serde_json::value::RawValue;
use taskcluster_core::ids::{Priority, RunId, TaskId};
use taskcluster_core::time::Timestamp;

use crate::artifact::Artifact;
use crate::group::Group;
use crate::task::{Announcement, Task, Worker, run};

const PREFIX: &str = "exchange/taskcluster-queue/v1/";

/// An event that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The exchange, with its prefix.
    pub exchange: String,
    /// Words joined by dots.
    pub routing_key: String,
    /// Further routing keys: `route.<route>` for each route of the task.
    pub cc: Vec<String>,
    /// The body, JSON.
    pub payload: String,
}

/// The status of a task as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    task_id: TaskId,
    provisioner_id: &'a str,
    worker_type: &'a str,
    task_queue_id: &'a str,
    scheduler_id: &'a str,
    project_id: &'a str,
    task_group_id: TaskId,
    priority: &'a Priority,
    deadline: Timestamp,
    expires: Timestamp,
    retries_left: u32,
    state: &'static str,
    runs: Box<RawValue>,
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("what we wrote is JSON")
}

impl<'a> Status<'a> {
    fn of(task: &'a Task) -> Self {
        Self {
            task_id: task.task_id,
            provisioner_id: task.provisioner_id(),
            worker_type: task.worker_type(),
            task_queue_id: &task.task_queue_id,
            scheduler_id: &task.scheduler_id,
            project_id: &task.project_id,
            task_group_id: task.task_group_id,
            priority: &task.priority,
            deadline: task.deadline,
            expires: task.expires,
            retries_left: task.retries_left,
            state: task.state().as_str(),
            runs: raw(run::to_json(&task.runs)),
        }
    }
}

#[derive(Serialize)]
struct Tags {
    tags: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: u32,
    status: Status<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<ArtifactBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_priority: Option<&'a Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_priority: Option<&'a Priority>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactBody<'a> {
    storage_type: &'a str,
    name: &'a str,
    expires: Timestamp,
    content_type: &'a str,
}

impl<'a> Body<'a> {
    fn of(task: &'a Task) -> Self {
        Self {
            version: 1,
            status: Status::of(task),
            run_id: None,
            worker_group: None,
            worker_id: None,
            taken_until: None,
            task: Some(Tags { tags: raw(task.tags.clone()) }),
            artifact: None,
            old_priority: None,
            new_priority: None,
        }
    }

    fn about(mut self, run: RunId, worker: Option<&'a Worker>) -> Self {
        self.run_id = Some(run);
        self.worker_group = worker.map(|worker| worker.group.as_str());
        self.worker_id = worker.map(|worker| worker.id.as_str());
        self
    }

    fn message(&self, exchange: &str, task: &Task) -> Message {
        let word = |value: Option<&str>| value.unwrap_or("_").to_owned();
        let routing_key = [
            "primary".to_owned(),
            task.task_id.to_string(),
            self.run_id.map_or_else(|| "_".to_owned(), |run| run.to_string()),
            word(self.worker_group),
            word(self.worker_id),
            task.provisioner_id().to_owned(),
            task.worker_type().to_owned(),
            task.scheduler_id.clone(),
            task.task_group_id.to_string(),
            "_".to_owned(),
        ]
        .join(".");
        Message {
            exchange: format!("{PREFIX}{exchange}"),
            routing_key,
            cc: task.routes.iter().map(|route| format!("route.{route}")).collect(),
            payload: serde_json::to_string(self).expect("an event is plain data"),
        }
    }
}

/// The message that makes an announcement about the task, as the task now is.
#[must_use]
pub fn announce(task: &Task, what: &Announcement) -> Message {
    let worker = |run: RunId| task.run(run).and_then(|run| run.claim()).map(|claim| &claim.worker);
    let body = Body::of(task);
    match what {
        Announcement::Defined => body.message("task-defined", task),
        Announcement::Pending(run) => body.about(*run, None).message("task-pending", task),
        Announcement::Running(run) => {
            let mut body = body.about(*run, worker(*run));
            body.taken_until = task.run(*run).and_then(|run| run.claim()).map(|claim| claim.taken_until);
            body.message("task-running", task)
        }
        Announcement::Completed(run) => body.about(*run, worker(*run)).message("task-completed", task),
        Announcement::Failed(run) => body.about(*run, worker(*run)).message("task-failed", task),
        Announcement::Exception { run, with_worker } => {
            body.about(*run, worker(*run).filter(|_| *with_worker)).message("task-exception", task)
        }
        Announcement::PriorityChanged { old, new } => {
            let mut body = Body { task: None, ..body };
            body.old_priority = Some(old);
            body.new_priority = Some(new);
            body.message("task-priority-changed", task)
        }
    }
}

/// `artifact-created`.
#[must_use]
pub fn artifact_created(task: &Task, artifact: &Artifact) -> Message {
    let worker = task.run(artifact.run_id).and_then(|run| run.claim()).map(|claim| &claim.worker);
    let mut body = Body { task: None, ..Body::of(task) }.about(artifact.run_id, worker);
    body.artifact = Some(ArtifactBody {
        storage_type: artifact.storage.kind().as_str(),
        name: &artifact.name,
        expires: artifact.expires,
        content_type: &artifact.content_type,
    });
    body.message("artifact-created", task)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupBody<'a> {
    version: u32,
    task_group_id: TaskId,
    scheduler_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_priority: Option<&'a Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_affected: Option<usize>,
}

impl GroupBody<'_> {
    fn message(&self, exchange: &str) -> Message {
        Message {
            exchange: format!("{PREFIX}{exchange}"),
            routing_key: format!("primary.{}.{}._", self.task_group_id, self.scheduler_id),
            cc: Vec::new(),
            payload: serde_json::to_string(self).expect("an event is plain data"),
        }
    }
}

fn group_body(group: &Group) -> GroupBody<'_> {
    GroupBody {
        version: 1,
        task_group_id: group.task_group_id,
        scheduler_id: &group.scheduler_id,
        expires: Some(group.expires),
        sealed: group.sealed,
        new_priority: None,
        tasks_affected: None,
    }
}

/// `task-group-resolved`.
#[must_use]
pub fn group_resolved(group: &Group) -> Message {
    group_body(group).message("task-group-resolved")
}

/// `task-group-sealed`.
#[must_use]
pub fn group_sealed(group: &Group) -> Message {
    group_body(group).message("task-group-sealed")
}

/// `task-group-priority-changed`.
#[must_use]
pub fn group_priority_changed(group: &Group, new: &Priority, affected: usize) -> Message {
    GroupBody {
        expires: None,
        sealed: None,
        new_priority: Some(new),
        tasks_affected: Some(affected),
        ..group_body(group)
    }
    .message("task-group-priority-changed")
}
