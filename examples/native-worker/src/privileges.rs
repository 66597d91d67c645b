//! What not every task gets: each thing takes a scope of the task's, and a worker that has it or allows it.

use taskcluster_worker::context::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::devices::{Devices, Kind};
use crate::groups::{self, Group};
use crate::isolation::Isolation;
use crate::payload::CommandPayload;

/// What a worker allows to tasks that have the scopes.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) isolation: Isolation,
    /// Whether a task may run as the user of the worker, also where others do not.
    pub(crate) as_current_user: bool,
    pub(crate) devices: Devices,
}

/// What a task gets.
#[derive(Debug)]
pub(crate) struct Granted {
    /// As whom it runs.
    pub(crate) isolation: Isolation,
    pub(crate) groups: Vec<Group>,
    pub(crate) devices: Vec<Kind>,
}

impl Allowed {
    /// What a task gets of that for which it asks: all, or nothing of it. Blocks.
    ///
    /// # Errors
    /// [`Error::Payload`], with every reason: the task lacks a scope, or the worker does not have it. [`Error::Worker`]: the
    /// machine does not tell its groups.
    pub(crate) fn grant(&self, task: &TaskContext, payload: &CommandPayload) -> Result<Granted> {
        let features = &payload.features;
        let mut reasons = Vec::new();
        let isolation = match features.run_task_as_current_user {
            true => {
                reasons.extend(self.why_not_as_current_user(task));
                Isolation::None
            }
            false => self.isolation,
        };
        let asked = [(features.loopback_video, Kind::Video), (features.loopback_audio, Kind::Audio)];
        let devices: Vec<Kind> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, kind)| kind).collect();
        reasons.extend(devices.iter().filter_map(|kind| self.why_no_device(task, *kind)));
        let groups = match groups::allowed(task, &payload.os_groups, isolation) {
            Err(Error::Payload(more)) => {
                reasons.extend(more);
                Vec::new()
            }
            groups => groups?,
        };
        if reasons.is_empty() { Ok(Granted { isolation, groups, devices }) } else { Err(Error::Payload(reasons)) }
    }

    fn why_not_as_current_user(&self, task: &TaskContext) -> Option<String> {
        let scope = format!("generic-worker:run-task-as-current-user:{}", task.identity().task_queue_id);
        let why = if !self.as_current_user {
            "this worker runs no task as its own user, see run_task_as_current_user of its configuration".to_owned()
        } else if !task.has_scope(&scope) {
            format!("it takes the scope {scope}")
        } else {
            return None;
        };
        Some(format!("payload/features/runTaskAsCurrentUser: {why}"))
    }

    fn why_no_device(&self, task: &TaskContext, kind: Kind) -> Option<String> {
        let (any, of_pool) = (kind.scope(), format!("{}:{}", kind.scope(), task.identity().task_queue_id));
        let why = if !self.devices.has(kind) {
            format!("this worker has no {kind}")
        } else if !task.has_scope(any) && !task.has_scope(&of_pool) {
            format!("it takes the scope {any} or {of_pool}")
        } else {
            return None;
        };
        Some(format!("payload/features/{}: {why}", kind.feature()))
    }
}
