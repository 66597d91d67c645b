//! What a decision depends on: the push, and the decision task itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taskcluster_core::error::Error;
use taskcluster_core::ids::{TaskId, TaskQueueId};
use taskcluster_core::time::Timestamp;

use super::TaskGraph;
use crate::queue::{Queue, TaskDefinition, TaskDefinitionRequest, TaskMetadata, TaskStatus};

/// What a decision depends on; with the checkout it is all, so that a decision can be made again anywhere.
///
/// Published as `public/parameters.yml` (JSON is YAML), and read from there for a look at what would happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parameters {
    /// The decision task. The ids of its tasks are derived from this one.
    pub decision_task: TaskId,
    /// The group that it is in, and its tasks will be.
    pub task_group_id: TaskId,
    /// Where the decision task runs, which is where its tasks may run, too.
    pub task_queue_id: TaskQueueId,
    /// The scheduler of the group.
    pub scheduler_id: String,
    /// When the decision was made first: the start of the decision task's first run. Times in definitions follow from
    /// this one and not from the clock, so a decision task that is tried again says the same.
    pub created: Timestamp,
    /// Who to write to.
    pub owner: String,
    /// Where the decision comes from.
    pub source: String,
    /// Where tasks fetch from: `HEAD_REPOSITORY`.
    pub repository: String,
    /// The commit: `HEAD_REVISION`.
    pub head_revision: String,
    /// What it was pushed to, such as `refs/heads/main`: `HEAD_REF`.
    #[serde(default)]
    pub head_ref: Option<String>,
    /// What was there before: `BASE_REVISION`. `None` if nothing was (push events say that with zeros), or it is not told.
    #[serde(default)]
    pub base_revision: Option<String>,
    /// The sort of event, such as `github-push`: `TASKS_FOR`.
    #[serde(default)]
    pub tasks_for: Option<String>,
}

/// Why there are no parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// A variable that `.taskcluster.yml` should give the decision task.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// `TASK_ID` is something else.
    #[error("the environment variable TASK_ID is no task id")]
    TaskId(#[source] taskcluster_core::ids::InvalidTaskId),
    /// The queue does not tell.
    #[error("cannot read the decision task's own definition")]
    Own(#[source] Box<Error>),
}

impl Parameters {
    /// Within a decision task: from its own definition, and the environment that `.taskcluster.yml` gives it. Variables that
    /// are empty count as absent.
    ///
    /// # Errors
    /// `TASK_ID`, `HEAD_REPOSITORY` or `HEAD_REVISION` is not set, or the queue does not answer.
    pub async fn from_env(queue: &Queue) -> Result<Self, ParametersError> {
        Self::read(queue, |name| std::env::var(name).ok()).await
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub async fn read(queue: &Queue, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ParametersError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let required = |name| optional(name).ok_or(ParametersError::Missing(name));
        let decision_task: TaskId = required("TASK_ID")?.parse().map_err(ParametersError::TaskId)?;
        let (repository, head_revision) = (required("HEAD_REPOSITORY")?, required("HEAD_REVISION")?);
        let failed = |error| ParametersError::Own(Box::new(error));
        let own = queue.task(&decision_task).await.map_err(failed)?;
        let created = match queue.status(&decision_task).await {
            Ok(answer) => first_start(&answer.status).unwrap_or(own.created),
            // Then it may not know, now as in each other try.
            Err(error) if error.is_forbidden() => own.created,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            head_ref: optional("HEAD_REF"),
            base_revision: optional("BASE_REVISION").filter(|revision| !is_no_commit(revision)),
            tasks_for: optional("TASKS_FOR"),
            created,
            ..Self::of(decision_task, own, repository, head_revision)
        })
    }

    /// Those that a decision task with this definition would have, created when it was.
    pub fn of(
        decision_task: TaskId,
        own: TaskDefinition,
        repository: impl Into<String>,
        head_revision: impl Into<String>,
    ) -> Self {
        Self {
            decision_task,
            task_group_id: own.task_group_id,
            task_queue_id: own.task_queue_id,
            scheduler_id: own.scheduler_id,
            created: own.created,
            owner: own.metadata.owner,
            source: own.metadata.source,
            repository: repository.into(),
            head_revision: head_revision.into(),
            head_ref: None,
            base_revision: None,
            tasks_for: None,
        }
    }

    /// Those of nobody's push, for a look at what would happen: the ids and times mean nothing.
    ///
    /// # Panics
    /// Never: the constants in it are valid.
    pub fn for_show(
        task_queue_id: TaskQueueId,
        repository: impl Into<String>,
        head_revision: impl Into<String>,
    ) -> Self {
        let decision_task = TaskId::derive(&TaskId::from_bytes([0; 16]), "show");
        Self {
            decision_task,
            task_group_id: decision_task,
            task_queue_id,
            scheduler_id: "-".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            owner: "nobody@example.com".to_owned(),
            source: "https://example.com".to_owned(),
            repository: repository.into(),
            head_revision: head_revision.into(),
            head_ref: None,
            base_revision: None,
            tasks_for: None,
        }
    }

    /// An empty graph of this decision.
    pub fn graph(&self) -> TaskGraph {
        TaskGraph::new(self.decision_task)
            .with_task_group_id(self.task_group_id)
            .with_scheduler_id(self.scheduler_id.as_str())
    }

    /// The definition of a task of this decision, to be changed further: created with it, due `within` this time, where
    /// the decision task runs, and from the same owner and source.
    pub fn definition(
        &self,
        name: &str,
        description: &str,
        within: Duration,
        payload: Map<String, Value>,
    ) -> TaskDefinitionRequest {
        let metadata = TaskMetadata::new(name, description, self.owner.as_str(), self.source.as_str());
        TaskDefinitionRequest::new(self.created, self.created + within, payload, metadata)
            .with_task_queue_id(self.task_queue_id.clone())
    }

    /// What decision tasks publish as `public/parameters.yml`: a flat mapping, a line each, every value JSON.
    pub fn to_yaml(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}: {value}\n")).collect()
    }
}

/// When the first run began that began.
fn first_start(status: &TaskStatus) -> Option<Timestamp> {
    status.runs.iter().find_map(|run| run.started)
}

/// Push events say "no commit" with zeros.
fn is_no_commit(revision: &str) -> bool {
    revision.bytes().all(|byte| byte == b'0')
}
