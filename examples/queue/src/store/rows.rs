//! Between rows and the types of the domain.

use serde::Serialize;
use taskcluster_core::ids::TaskId;

use super::StoreError;
use super::sql::Row;
use crate::artifact::Artifact;
use crate::group::Group;
use crate::messages::Message;
use crate::task::Worker;
use crate::task::{Requires, State, Task, priority_of, rank, run};
use crate::worker::{SeenWorker, TaskQueue};

pub(super) fn requires_to_text(requires: Requires) -> &'static str {
    match requires {
        Requires::AllCompleted => "all-completed",
        Requires::AllResolved => "all-resolved",
    }
}

fn requires_from_text(text: &str) -> Result<Requires, StoreError> {
    match text {
        "all-completed" => Ok(Requires::AllCompleted),
        "all-resolved" => Ok(Requires::AllResolved),
        other => Err(StoreError::corrupt("requires", &other)),
    }
}

/// A task as the store keeps it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) task: Task,
    /// Its place among the waiting runs, the last one that it had.
    pub(super) position: Option<i64>,
    /// Do other tasks depend on it?
    pub(super) awaited: bool,
    /// By which it is known whether the row has changed since; where the task was looked at without locking it.
    pub(super) version: Option<String>,
}

/// A task as an argument of a statement.
#[derive(Serialize)]
pub(super) struct TaskRow<'a> {
    id: TaskId,
    queue: &'a str,
    scheduler: &'a str,
    project: &'a str,
    group: TaskId,
    priority: i64,
    deadline: i64,
    expires: i64,
    retries: u32,
    left: u32,
    requires: &'static str,
    unsatisfied: u32,
    state: &'static str,
    open: i64,
    ever: i64,
    position: Option<i64>,
    claimed: Option<i64>,
    until: Option<i64>,
    awaited: i64,
    runs: String,
    routes: String,
    tags: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> TaskRow<'a> {
    pub(super) fn of(kept: &'a Kept) -> Self {
        let task = &kept.task;
        let (state, claim) = (task.state(), task.claim());
        Self {
            id: task.task_id,
            queue: &task.task_queue_id,
            scheduler: &task.scheduler_id,
            project: &task.project_id,
            group: task.task_group_id,
            priority: rank(&task.priority),
            deadline: task.deadline.as_millis(),
            expires: task.expires.as_millis(),
            retries: task.retries,
            left: task.retries_left,
            requires: requires_to_text(task.requires),
            unsatisfied: task.unsatisfied,
            state: state.as_str(),
            open: i64::from(!state.is_resolved()),
            ever: i64::from(task.ever_resolved),
            position: kept.position.filter(|_| state == State::Pending),
            claimed: claim.map(|claim| claim.started.as_millis()),
            until: claim.map(|claim| claim.taken_until.as_millis()),
            awaited: i64::from(kept.awaited),
            runs: run::to_json(&task.runs),
            routes: serde_json::to_string(&task.routes).expect("routes are text"),
            tags: &task.tags,
            version: kept.version.as_deref(),
        }
    }
}

/// Reads a row of `tasks`, with what the store adds.
pub(super) fn kept(row: &Row) -> Result<Kept, StoreError> {
    Ok(Kept {
        task: task(row)?,
        position: row.int_or_null("position")?,
        awaited: row.int("awaited")? != 0,
        version: None,
    })
}

/// The same of a row that was looked at without locking it.
pub(super) fn seen(row: &Row) -> Result<Kept, StoreError> {
    Ok(Kept { version: Some(row.text("version")?), ..kept(row)? })
}

/// Reads the group of a task from the row of the task; `None` if it is gone.
pub(super) fn group_of(task: &Task, row: &Row) -> Result<Option<Group>, StoreError> {
    let Some(expires) = row.time_or_null("group_expires")? else { return Ok(None) };
    Ok(Some(Group {
        task_group_id: task.task_group_id,
        scheduler_id: task.scheduler_id.clone(),
        expires,
        sealed: row.time_or_null("group_sealed")?,
        unresolved: row.int("group_unresolved")?,
    }))
}

/// Reads a row of `tasks`.
pub(super) fn task(row: &Row) -> Result<Task, StoreError> {
    let runs = row.text("runs")?;
    Ok(Task {
        task_id: row.parsed("task_id")?,
        task_queue_id: row.text("task_queue_id")?,
        scheduler_id: row.text("scheduler_id")?,
        project_id: row.text("project_id")?,
        task_group_id: row.parsed("task_group_id")?,
        priority: priority_of(row.int("priority")?),
        deadline: row.time("deadline")?,
        expires: row.time("expires")?,
        retries: row.number("retries")?,
        retries_left: row.number("retries_left")?,
        requires: requires_from_text(&row.text("requires")?)?,
        unsatisfied: row.number("unsatisfied")?,
        ever_resolved: row.int("ever_resolved")? != 0,
        runs: run::from_json(&runs).map_err(|error| StoreError::corrupt("runs", &error))?,
        routes: row.json("routes")?,
        tags: row.text("tags")?,
    })
}

/// Reads a row of `task_groups`.
pub(super) fn group(row: &Row) -> Result<Group, StoreError> {
    Ok(Group {
        task_group_id: row.parsed("task_group_id")?,
        scheduler_id: row.text("scheduler_id")?,
        expires: row.time("expires")?,
        sealed: row.time_or_null("sealed")?,
        unresolved: row.int("unresolved")?,
    })
}

/// Reads a row of `artifacts`.
pub(super) fn artifact(row: &Row) -> Result<Artifact, StoreError> {
    Ok(Artifact {
        task_id: row.parsed("task_id")?,
        run_id: row.number("run_id")?.into(),
        name: row.text("name")?,
        content_type: row.text("content_type")?,
        content_length: row.int_or_null("content_length")?,
        expires: row.time("expires")?,
        present: row.int("present")? != 0,
        storage: row.json("storage")?,
    })
}

/// Reads a row of `task_queues`.
pub(super) fn task_queue(row: &Row) -> Result<TaskQueue, StoreError> {
    Ok(TaskQueue {
        task_queue_id: row.text("task_queue_id")?,
        expires: row.time("expires")?,
        last_date_active: row.time("last_date_active")?,
        description: row.text("description")?,
        stability: row.text("stability")?,
    })
}

/// Reads a row of `workers`; what it has claimed is elsewhere.
pub(super) fn worker(row: &Row) -> Result<SeenWorker, StoreError> {
    Ok(SeenWorker {
        task_queue_id: row.text("task_queue_id")?,
        worker: Worker { group: row.text("worker_group")?, id: row.text("worker_id")? },
        expires: row.time("expires")?,
        first_claim: row.time("first_claim")?,
        last_date_active: row.time_or_null("last_date_active")?,
        quarantine_until: row.time_or_null("quarantine_until")?,
        quarantine_details: row.json("quarantine_details")?,
        recent_tasks: Vec::new(),
    })
}

/// An event as an argument of a statement.
#[derive(Serialize)]
pub(super) struct MessageRow<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    cc: String,
    payload: &'a str,
}

impl<'a> MessageRow<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        Self {
            exchange: &message.exchange,
            routing_key: &message.routing_key,
            cc: serde_json::to_string(&message.cc).expect("routing keys are text"),
            payload: &message.payload,
        }
    }
}
