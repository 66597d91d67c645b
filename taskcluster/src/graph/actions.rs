//! Actions: what people may do to the tasks of a push, offered in `public/actions.json` and carried out in Rust.
//!
//! The decision task publishes [`Actions::to_json`]. Who chooses an action in a user interface creates, with their own
//! credentials, the task that stands there: the decision task's program once more, told by its environment what is asked for.
//! So the program begins by looking whether it was started for an action:
//!
//! ```
//! use taskcluster::graph::actions::{Action, ActionRequest, Actions};
//! use taskcluster::graph::{DecisionFiles, Parameters};
//! use taskcluster::queue::Queue;
//! use taskcluster::{Report, Taskcluster};
//!
//! fn actions() -> Actions {
//!     let backfill = Action::new("backfill", "Backfill", "Runs it for the last pushes, too.", |request: ActionRequest, queue: Queue| async move {
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
//!     let push = Parameters::from_env(&tc.queue()).await?;
//!     let own = tc.queue().task(&push.decision_task).await?;
//!     let graph = push.graph().check()?; // with tasks in it
//!     DecisionFiles::new(&push).with_graph(&graph).with_actions(&actions().to_json(&own)?).write_to("public")?;
//!     graph.submit(&tc.queue()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # An action that adds tasks
//!
//! [`ActionRequest::graph`] is a graph whose tasks join the group, and may need by label what the decision task has made. The
//! action's task has the variables of the decision task, so [`Parameters::from_env`](super::Parameters::from_env) serves here, too; they
//! are then those of the action's task, and times follow from its start. (Where `.taskcluster.yml` does not give the variables to
//! actions, [`Parameters::of`](super::Parameters::of) makes the same of the action's own definition.)
//!
//! ```
//! use taskcluster::graph::actions::{Action, ActionRequest};
//! use taskcluster::graph::{Parameters, Task};
//! use taskcluster::queue::Queue;
//! use taskcluster::time::hours;
//! use taskcluster::{Report, object};
//!
//! fn profile() -> Action {
//!     Action::new("profile", "Profile", "Adds a task that profiles what was built.", add).for_group()
//! }
//!
//! async fn add(request: ActionRequest, queue: Queue) -> Result<(), Report> {
//!     let push = Parameters::from_env(&queue).await?;
//!     let payload = object! { "command": [["make", "profile"]], "maxRunTime": 3600 };
//!     let definition = push.definition("profile", "Profiles what was built.", hours(2), payload);
//!     let mut graph = request.graph(&queue).await?;
//!     graph.add(Task::new("profile", definition).with_needs(["build"]));
//!     graph.check()?.submit(&queue).await?;
//!     Ok(())
//! }
//! ```
//!
//! A label that the decision task has used is taken.
//!
//! # Who may
//!
//! An action's task has the scopes of the decision task and no others; whoever triggers it must hold them all, and what the
//! queue asks for besides. Where people shall trigger what they could not create themselves, an action goes
//! [through a hook](Action::through_hook). Where the action's task shall differ from the decision task, `.taskcluster.yml` says
//! how: [`Actions::to_json_in_tree`].
//!
//! Feature `actions-input`: an action may ask for input. Feature `actions-trigger`: [`Offer`] is the other side, what a user interface
//! does, for programs.
#![cfg_attr(not(feature = "actions-trigger"), doc = "", doc = "[`Offer`]: crate#features")]

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use taskcluster_core::error::Report;
use taskcluster_core::root_url::RootUrl;

use crate::queue::{Queue, TaskDefinition};

mod error;
mod files;
mod hook;
mod input;
#[cfg(feature = "actions-trigger")]
mod offer;
mod request;
mod standard;
mod template;

pub use error::ActionError;
#[cfg(feature = "actions-trigger")]
pub use offer::{Offer, OfferedAction, Rendered};
pub use request::ActionRequest;

use hook::Hook;

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
    extra: Map<String, Value>,
    /// Of an action whose task a hook creates.
    hook: Option<Hook>,
    callback: Callback,
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
            extra: Map::new(),
            hook: None,
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

    /// It is also for tasks that have all of these tags.
    #[must_use]
    pub fn or_for_tasks<T: Into<String>>(mut self, tags: impl IntoIterator<Item = (T, T)>) -> Self {
        self.context.push(tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// It asks for input of this JSON schema (draft 7). Other input is refused, also when it is carried out.
    #[cfg(feature = "actions-input")]
    #[must_use]
    pub fn with_input(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// What else is said of it, such as `{"actionPerm": "generic"}`.
    #[must_use]
    pub fn with_extra(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// It is triggered through this hook, which creates the action's task with the hook's own scopes: people may then trigger
    /// what they could not create. `payload` is a JSON-e template of what the hook is told; it may refer to `taskGroupId`,
    /// `taskId` and `input`. The hook sees to it that the program has the variables which [`ActionRequest::from_env`] reads.
    #[must_use]
    pub fn through_hook(
        mut self,
        hook_group_id: impl Into<String>,
        hook_id: impl Into<String>,
        payload: Map<String, Value>,
    ) -> Self {
        let hook_payload = Value::Object(payload);
        self.hook = Some(Hook { hook_group_id: hook_group_id.into(), hook_id: hook_id.into(), hook_payload });
        self
    }

    /// As it is published; `template` gives the task of an action that goes through no hook.
    fn to_json(&self, template: impl Fn(&Self) -> Value) -> Result<Value, ActionError> {
        let mut action = json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "context": self.context,
        });
        match &self.hook {
            Some(hook) => {
                hook.check(&self.name)?;
                action["kind"] = json!("hook");
                action["hookGroupId"] = json!(hook.hook_group_id);
                action["hookId"] = json!(hook.hook_id);
                action["hookPayload"] = hook.hook_payload.clone();
            }
            None => {
                action["kind"] = json!("task");
                action["task"] = template(self);
            }
        }
        if let Some(schema) = &self.schema {
            input::can_be_checked(&self.name, schema)?;
            action["schema"] = schema.clone();
        }
        if !self.extra.is_empty() {
            action["extra"] = json!(self.extra);
        }
        Ok(action)
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
    ///   caches, nor what takes scopes (`capabilities`, `osGroups`, `allowPtrace`), for somebody who wants to look around in
    ///   it: at least three hours, with a deadline of twelve, once, with `TASKCLUSTER_INTERACTIVE` set in its environment. Whoever
    ///   has `queue:get-artifact:private/interactive/shell` may open a shell in it (`taskcluster shell TASK`); the action itself
    ///   takes what any action takes of whoever triggers it, and the decision task's scopes to create a task. Its worker must know
    ///   the feature, as those for native commands and for Docker do that come with this SDK; elsewhere such a task ends
    ///   as `malformed-payload`: [leave the action out](Self::without) then;
    /// - `cancel-all` tasks of the group that are not over.
    #[must_use]
    pub fn standard() -> Self {
        Self(standard::actions())
    }

    /// But none of this name.
    ///
    /// ```
    /// use taskcluster::graph::actions::Actions;
    ///
    /// let actions = Actions::standard().without("create-interactive");
    /// ```
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|action| action.name != name);
        self
    }

    /// And this one, offered last.
    #[must_use]
    pub fn with(mut self, action: Action) -> Self {
        self.0.push(action);
        self
    }

    /// What decision tasks publish as `public/actions.json`. `own` is the decision task's definition: its payload, with
    /// `ACTION_…` added to `env`, is what carries an action out.
    ///
    /// # Errors
    /// [`ActionError::Schema`] or [`ActionError::Hook`] for an action that nobody could trigger.
    pub fn to_json(&self, own: &TaskDefinition) -> Result<Value, ActionError> {
        self.published(|action| template::of_own(action, own), &json!({}))
    }

    /// The same, where `.taskcluster.yml` says what carries an action out: `document` is that file, read as YAML. It is rendered
    /// when an action is triggered, with `tasks_for` being `action`, and its first task is created. Its `env` has to say
    /// what [`ActionRequest::from_env`] reads:
    ///
    /// ```yaml
    /// ACTION_NAME: {$eval: action.name}
    /// ACTION_TASK_GROUP_ID: {$eval: taskGroupId}
    /// ACTION_TASK_ID: {$json: {$eval: taskId}}
    /// ACTION_INPUT: {$json: {$eval: input}}
    /// ```
    ///
    /// It may refer to `action` (`name`, `title` and `description`), to `decision`, which is the decision task's definition and
    /// takes the place of `event`, to `taskcluster_root_url`, and to what is known of every action: `taskGroupId`, `taskId`,
    /// `task`, `input` and `ownTaskId`. `as_slugid` is not there. The task belongs to the group if it has
    /// `taskGroupId: {$eval: taskGroupId}` and `schedulerId: {$eval: decision.schedulerId}`.
    ///
    /// # Errors
    /// [`ActionError::NoTemplate`] if the document has no `tasks`, and as [`to_json`](Self::to_json).
    pub fn to_json_in_tree(
        &self,
        document: &Value,
        own: &TaskDefinition,
        root_url: &RootUrl,
    ) -> Result<Value, ActionError> {
        let tasks = document.get("tasks").ok_or(ActionError::NoTemplate)?;
        let variables = template::in_tree_variables(own, root_url.as_str());
        self.published(|action| template::in_tree(action, tasks), &variables)
    }

    fn published(&self, template: impl Fn(&Action) -> Value, variables: &Value) -> Result<Value, ActionError> {
        let actions = self.0.iter().map(|action| action.to_json(&template)).collect::<Result<Vec<Value>, _>>()?;
        Ok(json!({"version": 1, "actions": actions, "variables": variables}))
    }

    /// Carries out what was asked for.
    ///
    /// # Errors
    /// There is no such action for what was chosen, the input is not what it asks for, or its callback says what went wrong.
    pub async fn run(&self, request: &ActionRequest, queue: &Queue) -> Result<(), Report> {
        let action = self.asked_for(request, queue).await?;
        input::check(&action.name, action.schema.as_ref(), &request.input)?;
        (action.callback)(request.clone(), queue.clone()).await
    }

    /// The first of that name that fits.
    async fn asked_for(&self, request: &ActionRequest, queue: &Queue) -> Result<&Action, ActionError> {
        let named = || self.0.iter().filter(|action| action.name == request.name);
        let found = match request.task_id {
            None => named().find(|action| action.context.is_empty()),
            // Only tags tell more, and only where some are asked for.
            Some(_) if named().all(|action| action.context.iter().all(BTreeMap::is_empty)) => {
                named().find(|action| !action.context.is_empty())
            }
            Some(task_id) => {
                let task = queue.task(&task_id).await;
                let tags = task.map_err(|error| ActionError::call("read the chosen task", error))?.tags;
                named().find(|action| fits(&action.context, &tags))
            }
        };
        found.ok_or_else(|| ActionError::Unknown(request.name.clone()))
    }
}

/// Whether an action of this context is for a task with these tags.
fn fits(context: &[BTreeMap<String, String>], tags: &BTreeMap<String, String>) -> bool {
    context.iter().any(|wanted| wanted.iter().all(|(name, value)| tags.get(name) == Some(value)))
}
