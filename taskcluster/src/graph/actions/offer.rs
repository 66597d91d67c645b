//! The other side of `public/actions.json`: what a user interface does with it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;
use taskcluster_core::request::Request;
use taskcluster_core::scopes::{ScopeSet, satisfies};

use super::hook::Hook;
use super::{ActionError, files, fits, input, template};
use crate::Taskcluster;
use crate::auth;
use crate::hooks::TriggerHookResponse;
use crate::queue::{TaskDefinition, TaskStatusResponse, operations};

/// The actions that the decision task of a group offers.
///
/// ```
/// use taskcluster::graph::actions::Offer;
/// use taskcluster::{Report, TaskId, Taskcluster};
/// use serde_json::Value;
///
/// /// Runs a task once more, as its group has it.
/// async fn rerun(tc: &Taskcluster, group: &TaskId, task: &TaskId) -> Result<(), Report> {
///     let offer = Offer::of_group(tc, group).await?;
///     let carried_out_by = offer.trigger(tc, "rerun", Some(task), Value::Null).await?;
///     println!("{carried_out_by:?} does it");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Offer {
    task_group_id: TaskId,
    actions: Vec<OfferedAction>,
    variables: Map<String, Value>,
}

/// An action as its group offers it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OfferedAction {
    /// Its name.
    pub name: String,
    /// What to write on a button.
    pub title: String,
    /// What it does, in Markdown.
    pub description: String,
    /// The tags of the tasks that it fits, any of these; none: it is for the group.
    pub context: Vec<BTreeMap<String, String>>,
    /// What input it asks for; none if it asks for nothing.
    #[serde(default)]
    pub schema: Option<Value>,
    /// What else is said of it.
    #[serde(default)]
    pub extra: Map<String, Value>,
    #[serde(flatten)]
    kind: Kind,
}

/// What triggering it comes to.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind {
    Task {
        task: Value,
    },
    Hook {
        #[serde(flatten)]
        hook: Hook,
    },
    /// One that came later; it is not offered.
    #[serde(other)]
    Unknown,
}

/// What is sent when an action is triggered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rendered {
    /// A task is created with this definition.
    Task {
        /// Its id.
        task_id: TaskId,
        /// Its definition, as the template gave it.
        definition: Map<String, Value>,
    },
    /// A hook is triggered, which creates what it was made for.
    Hook {
        /// The group of the hook.
        hook_group_id: String,
        /// Its name.
        hook_id: String,
        /// What it is told.
        payload: Map<String, Value>,
    },
}

#[derive(Deserialize)]
struct Document {
    version: Value,
    actions: Vec<OfferedAction>,
    #[serde(default)]
    variables: Map<String, Value>,
}

impl Offer {
    /// What the decision task of this group has published.
    ///
    /// # Errors
    /// [`ActionError::NoOffer`], [`ActionError::Fetch`] or [`ActionError::Unreadable`].
    pub async fn of_group(tc: &Taskcluster, task_group_id: &TaskId) -> Result<Self, ActionError> {
        match files::fetch(tc.caller(), task_group_id, files::ACTIONS).await {
            Err(ActionError::Fetch { source, .. }) if source.is_not_found() => {
                Err(ActionError::NoOffer(*task_group_id))
            }
            fetched => Self::read(*task_group_id, fetched?),
        }
    }

    /// What `public/actions.json` of this group says.
    ///
    /// # Errors
    /// [`ActionError::Unreadable`] if it says something else, [`ActionError::Hook`] for a hook that cannot exist.
    pub fn read(task_group_id: TaskId, json: Value) -> Result<Self, ActionError> {
        let unreadable = |reason| ActionError::Unreadable { file: files::ACTIONS, reason };
        let document: Document = serde_json::from_value(json).map_err(|error| unreadable(error.to_string()))?;
        if document.version != json!(1) {
            return Err(unreadable(format!("it is of version {}, and only version 1 is known", document.version)));
        }
        for action in &document.actions {
            if let Kind::Hook { hook } = &action.kind {
                hook.check(&action.name)?;
            }
        }
        let actions = document.actions.into_iter().filter(|action| !matches!(action.kind, Kind::Unknown)).collect();
        Ok(Self { task_group_id, actions, variables: document.variables })
    }

    /// The actions for this task, or for the group: in their order, and of several with one name the first.
    pub fn actions(&self, task: Option<&TaskDefinition>) -> Vec<&OfferedAction> {
        let mut found: Vec<&OfferedAction> = Vec::new();
        for action in &self.actions {
            let is_for = match task {
                Some(task) => task.task_group_id == self.task_group_id && fits(&action.context, &task.tags),
                None => action.context.is_empty(),
            };
            if is_for && !found.iter().any(|other| other.name == action.name) {
                found.push(action);
            }
        }
        found
    }

    /// What would be sent to trigger this action on a task, or on the group. Nothing is sent.
    ///
    /// # Errors
    /// There is no such action for it, the input is not what it asks for, or its template cannot be rendered.
    pub fn render(
        &self,
        name: &str,
        chosen: Option<(&TaskId, &TaskDefinition)>,
        input: &Value,
    ) -> Result<Rendered, ActionError> {
        let actions = self.actions(chosen.map(|(_, task)| task));
        let action = actions.into_iter().find(|action| action.name == name);
        let action = action.ok_or_else(|| ActionError::Unknown(name.to_owned()))?;
        input::check(name, action.schema.as_ref(), input)?;
        let input = if action.schema.is_some() { input } else { &Value::Null };
        let mut context = self.variables.clone();
        context.insert("taskGroupId".to_owned(), json!(self.task_group_id));
        context.insert("taskId".to_owned(), json!(chosen.map(|(task_id, _)| task_id)));
        context.insert("input".to_owned(), input.clone());
        match &action.kind {
            Kind::Task { task } => {
                let task_id = TaskId::new();
                context.insert("task".to_owned(), json!(chosen.map(|(_, task)| task)));
                context.insert("ownTaskId".to_owned(), json!(task_id));
                Ok(Rendered::Task { task_id, definition: template::render(name, task, context)? })
            }
            Kind::Hook { hook } => Ok(Rendered::Hook {
                hook_group_id: hook.hook_group_id.clone(),
                hook_id: hook.hook_id.clone(),
                payload: template::render(name, &hook.hook_payload, context)?,
            }),
            Kind::Unknown => Err(ActionError::Unknown(name.to_owned())),
        }
    }

    /// Triggers an action on this task, or on the group, with the caller's own credentials, and gives the task that carries it
    /// out. A hook may make none.
    ///
    /// Whoever may push has written what the action is, so it gets no more than the push may do, whatever else the caller may:
    /// see [`Rendered::send`].
    ///
    /// # Errors
    /// As [`render`](Self::render), and [`ActionError::Call`] if a service refuses: scopes may be lacking.
    /// [`ActionError::HookRefused`] for a hook that is not for the group's decision task.
    ///
    /// # Cancel safety
    /// If the future is dropped, the action may have been triggered or not.
    pub async fn trigger(
        &self,
        tc: &Taskcluster,
        name: &str,
        task_id: Option<&TaskId>,
        input: Value,
    ) -> Result<Option<TaskId>, ActionError> {
        let chosen = match task_id {
            Some(task_id) => {
                let task = tc.queue().task(task_id).await;
                Some((task_id, task.map_err(|error| ActionError::call("read the chosen task", error))?))
            }
            None => None,
        };
        let rendered = self.render(name, chosen.as_ref().map(|(task_id, task)| (*task_id, task)), &input)?;
        let decision = tc.queue().task(&self.task_group_id).await;
        let decision = decision.map_err(|error| ActionError::call("read the decision task", error))?;
        rendered.send(tc, &decision).await
    }
}

impl Rendered {
    /// Sends it, and gives the task that carries the action out. A hook may make none.
    ///
    /// It was offered by the decision task of the group, which is trusted no further than with its own scopes: a task is created
    /// with those as the authorized scopes of the call, and a hook triggered only if they satisfy
    /// `in-tree:hook-action:<hookGroupId>/<hookId>`, as TaskCluster's user interface does it.
    ///
    /// # Errors
    /// [`ActionError::HookRefused`], and [`ActionError::Call`] as the queue's `createTask` or the hooks service's `triggerHook`
    /// say, or if calls go through a task's proxy, which knows of no authorized scopes.
    ///
    /// # Cancel safety
    /// If the future is dropped, it may have been sent or not. A task may be sent again: it is made once. A hook may not.
    pub async fn send(&self, tc: &Taskcluster, decision: &TaskDefinition) -> Result<Option<TaskId>, ActionError> {
        match self {
            Self::Task { task_id, definition } => {
                let created = create(tc, decision, task_id, definition).await;
                created.map_err(|error| ActionError::call("create the action's task", error))?;
                Ok(Some(*task_id))
            }
            Self::Hook { hook_group_id, hook_id, payload } => {
                let may = may_trigger(tc, decision, hook_group_id, hook_id).await;
                if !may.map_err(|error| ActionError::call("see what the decision task may do", error))? {
                    return Err(ActionError::HookRefused { hook: format!("{hook_group_id}/{hook_id}") });
                }
                let triggered = tc.hooks().trigger_hook(hook_group_id, hook_id, payload).await;
                match triggered.map_err(|error| ActionError::call("trigger the action's hook", error))? {
                    TriggerHookResponse::TriggeredTask(task) => Ok(Some(task.task_id)),
                    TriggerHookResponse::NothingTriggered(_) | TriggerHookResponse::Unknown(_) => Ok(None),
                }
            }
        }
    }
}

/// Creates the task with what the decision task may do, or with less if the caller restricts itself.
async fn create(
    tc: &Taskcluster,
    decision: &TaskDefinition,
    task_id: &TaskId,
    definition: &Map<String, Value>,
) -> Result<(), Error> {
    let mut scopes = ScopeSet::from_iter(decision.scopes.iter().cloned());
    if let Some(own) = tc.caller().credentials().and_then(|credentials| credentials.authorized_scopes) {
        scopes = scopes.intersect(&ScopeSet::from_iter(own));
    }
    let tc = tc.to_builder().authorized_scopes(scopes.into_vec()).build()?;
    // As it is: a property that nobody knows shall be refused and not vanish.
    let request = Request::<TaskStatusResponse>::new(tc.caller(), &operations::CREATE_TASK, &[task_id]);
    request.with_body(definition).await?;
    Ok(())
}

async fn may_trigger(tc: &Taskcluster, decision: &TaskDefinition, group: &str, hook: &str) -> Result<bool, Error> {
    let needed = format!("in-tree:hook-action:{group}/{hook}");
    let expanded = tc.auth().expand_scopes(&auth::ScopeSet::new(decision.scopes.iter().cloned())).await?;
    Ok(satisfies(&expanded.scopes, &needed))
}
