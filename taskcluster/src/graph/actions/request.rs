//! What an action's task is told.

use std::collections::BTreeMap;

use serde_json::Value;
use taskcluster_core::ids::TaskId;

use super::{ActionError, files};
use crate::graph::TaskGraph;
use crate::queue::Queue;

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActionRequest {
    /// The action's name.
    pub name: String,
    /// The task that carries it out: the one that this runs in.
    pub own_task_id: TaskId,
    /// The group that it is about.
    pub task_group_id: TaskId,
    /// The task that it is about; none if it is about the group.
    pub task_id: Option<TaskId>,
    /// What was entered; `null` for an action that asks for nothing.
    pub input: Value,
}

impl ActionRequest {
    /// What this program was started for, if it was started for an action: `ACTION_NAME` is set.
    ///
    /// # Errors
    /// Other variables that belong to it are missing or make no sense.
    pub fn from_env() -> Result<Option<Self>, ActionError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ActionError> {
        let Some(name) = variable("ACTION_NAME").filter(|name| !name.is_empty()) else { return Ok(None) };
        let json = |name: &'static str| {
            let value = variable(name).and_then(|text| serde_json::from_str(&text).ok());
            value.ok_or(ActionError::Variable(name))
        };
        let id =
            |name: &'static str| variable(name).and_then(|text| text.parse().ok()).ok_or(ActionError::Variable(name));
        Ok(Some(Self {
            own_task_id: id("TASK_ID")?,
            task_group_id: id("ACTION_TASK_GROUP_ID")?,
            task_id: serde_json::from_value(json("ACTION_TASK_ID")?)
                .map_err(|_| ActionError::Variable("ACTION_TASK_ID"))?,
            input: json("ACTION_INPUT")?,
            name,
        }))
    }

    /// The task that it is about.
    ///
    /// # Errors
    /// [`ActionError::NoTask`] if it is about the group.
    pub fn chosen(&self) -> Result<TaskId, ActionError> {
        self.task_id.ok_or_else(|| ActionError::NoTask(self.name.clone()))
    }

    /// A graph for tasks that this action adds to the group. They depend on the action's task, have the scheduler of the
    /// group, and may need by label what the decision task has made: its `public/label-to-taskid.json` says which those are.
    ///
    /// Ids follow from the action's task, so an action that is tried again adds nothing twice.
    ///
    /// # Errors
    /// The decision task's file or the action's own definition cannot be had.
    pub async fn graph(&self, queue: &Queue) -> Result<TaskGraph, ActionError> {
        let existing: BTreeMap<String, TaskId> =
            files::fetch(queue.caller(), &self.task_group_id, files::LABEL_TO_TASK_ID).await?;
        let own = queue.task(&self.own_task_id).await;
        let own = own.map_err(|error| ActionError::call("read the definition of the action's own task", error))?;
        Ok(TaskGraph::new(self.own_task_id)
            .with_task_group_id(self.task_group_id)
            .with_scheduler_id(own.scheduler_id)
            .with_existing(existing))
    }
}
