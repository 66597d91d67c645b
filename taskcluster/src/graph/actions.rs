//! Actions: what people may do to the tasks of a push, offered in `public/actions.json` and carried out in Rust.
//!
//! The decision task publishes [`Actions::to_json`]. Who chooses an action in a user interface creates, with their own
//! credentials, the task that stands there: the decision task's program once more, told by its environment what is asked for.
//! So the program begins by looking whether it was started for an action:
//!
//! ```
//! use taskcluster::graph::actions::{Action, ActionRequest, Actions};
//! use taskcluster::{Report, Taskcluster};
//!
//! fn actions() -> Actions {
//!     let backfill = Action::new("backfill", "Backfill", "Runs it for the last pushes, too.", |request: ActionRequest, queue: taskcluster::queue::Queue| async move {
//!         let chosen = request.chosen()?;
//!         println!("{} asks for {}", queue.task(&chosen).await?.metadata.name, request.input);
//!         Ok(())
//!     });
//!     Actions::standard().with(backfill.for_tasks([("kind", "test")]))
//! }
//!
//! async fn program(tc: &Taskcluster) -> Result<(), Report> {
//!     if let Some(request) = ActionRequest::from_env()? {
//!         return actions().run(&request, &tc.queue()).await;
//!     }
//!     // Otherwise decide, and write `actions().to_json(&own)` to public/actions.json.
//!     Ok(())
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use taskcluster_core::error::Report;
use taskcluster_core::ids::TaskId;

use crate::queue::{Queue, TaskDefinition};

mod standard;

type Callback = Arc<dyn Fn(ActionRequest, Queue) -> BoxFuture<'static, Result<(), Report>> + Send + Sync>;

/// Actions in the order in which they are offered. Of several with one name that fit a task, the first counts.
#[derive(Clone, Debug, Default)]
pub struct Actions(Vec<Action>);

/// Something that can be done to a task, or to a whole group.
#[derive(Clone)]
pub struct Action {
    name: String,
    title: String,
    description: String,
    /// The tags of the tasks that it fits; none: it is for the group.
    context: Vec<BTreeMap<String, String>>,
    schema: Option<Value>,
    callback: Callback,
}

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

/// Why an action cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// A variable that the action's task should have is missing or makes no sense.
    #[error("the environment variable {0} is missing or not valid")]
    Variable(&'static str),
    /// There is no action of this name.
    #[error("there is no action `{0}`")]
    Unknown(String),
    /// An action on a task without one.
    #[error("the action `{0}` needs a task to act on")]
    NoTask(String),
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
}

impl Action {
    /// An action on every task. `description` is Markdown.
    pub fn new<F, Fut>(
        name: impl Into<String>,
        title: impl Into<String>,
        description: impl Into<String>,
        callback: F,
    ) -> Self
    where
        F: Fn(ActionRequest, Queue) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Report>> + Send + 'static,
    {
        Self {
            name: name.into(),
            title: title.into(),
            description: description.into(),
            context: vec![BTreeMap::new()],
            schema: None,
            callback: Arc::new(move |request, queue| Box::pin(callback(request, queue))),
        }
    }

    /// It is for tasks that have all of these tags.
    #[must_use]
    pub fn for_tasks<T: Into<String>>(mut self, tags: impl IntoIterator<Item = (T, T)>) -> Self {
        self.context = vec![tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect()];
        self
    }

    /// It is for the group, not for a task.
    #[must_use]
    pub fn for_group(mut self) -> Self {
        self.context.clear();
        self
    }

    /// It asks for input of this JSON schema.
    #[must_use]
    pub fn with_input(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    fn to_json(&self, own: &TaskDefinition) -> Value {
        let mut action = json!({
            "kind": "task",
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "context": self.context,
            "task": self.template(own),
        });
        if let Some(schema) = &self.schema {
            action["schema"] = schema.clone();
        }
        action
    }

    /// The decision task once more, as a template: what it was told itself stands in it literally.
    fn template(&self, own: &TaskDefinition) -> Value {
        let from_now = |time| json!({"$fromNow": format!("{} seconds", own.created.distance(time).as_secs())});
        let mut payload = literal(&Value::Object(own.payload.clone()));
        payload["env"]["ACTION_NAME"] = literal(&json!(self.name));
        payload["env"]["ACTION_TASK_GROUP_ID"] = json!({"$eval": "taskGroupId"});
        payload["env"]["ACTION_TASK_ID"] = json!({"$json": {"$eval": "taskId"}});
        payload["env"]["ACTION_INPUT"] = json!({"$json": {"$eval": "input"}});
        let mut task = json!({
            "taskQueueId": own.task_queue_id,
            "schedulerId": own.scheduler_id,
            "projectId": own.project_id,
            "taskGroupId": {"$eval": "taskGroupId"},
            "priority": own.priority,
            "retries": own.retries,
            "created": {"$fromNow": ""},
            "deadline": from_now(own.deadline),
            "expires": from_now(own.expires.unwrap_or(own.deadline)),
            "scopes": literal(&json!(own.scopes)),
            "payload": payload,
            "metadata": literal(&json!({
                "name": format!("action: {}", self.title),
                "description": self.description,
                "owner": own.metadata.owner,
                "source": own.metadata.source,
            })),
            "extra": {"action": {"name": literal(&json!(self.name))}},
        });
        if own.project_id.is_none()
            && let Some(task) = task.as_object_mut()
        {
            task.remove("projectId");
        }
        task
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", &self.name).field("context", &self.context).finish_non_exhaustive()
    }
}

impl Actions {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These four:
    /// - `rerun` a task: one more run of the same;
    /// - `retrigger` a task: a new one with the same definition, which nothing depends on;
    /// - `create-interactive`: the same with `features.interactive` in its payload, and without routes, scopes, artifacts and
    ///   caches, for somebody who wants to look around in it;
    /// - `cancel-all` tasks of the group that are not over.
    #[must_use]
    pub fn standard() -> Self {
        Self(standard::actions())
    }

    /// And this one, offered last.
    #[must_use]
    pub fn with(mut self, action: Action) -> Self {
        self.0.push(action);
        self
    }

    /// What decision tasks publish as `public/actions.json`. `own` is the decision task's definition: its payload, with
    /// `ACTION_…` added to `env`, is what carries an action out.
    pub fn to_json(&self, own: &TaskDefinition) -> Value {
        let actions: Vec<Value> = self.0.iter().map(|action| action.to_json(own)).collect();
        json!({"version": 1, "actions": actions, "variables": {}})
    }

    /// Carries out what was asked for.
    ///
    /// # Errors
    /// There is no such action, or its callback says what went wrong.
    pub async fn run(&self, request: &ActionRequest, queue: &Queue) -> Result<(), Report> {
        let fits =
            |action: &&Action| action.name == request.name && action.context.is_empty() != request.task_id.is_some();
        let action = self.0.iter().find(fits).ok_or_else(|| ActionError::Unknown(request.name.clone()))?;
        (action.callback)(request.clone(), queue.clone()).await
    }
}

/// The template that renders to this value.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(list) => Value::Array(list.iter().map(literal).collect()),
        Value::Object(map) => {
            let name = |name: &str| if name.starts_with('$') { format!("${name}") } else { name.replace("${", "$${") };
            Value::Object(map.iter().map(|(key, value)| (name(key), literal(value))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
