//! What can be wrong with an action, on either side.

use taskcluster_core::error::Error;
use taskcluster_core::ids::TaskId;

use crate::artifacts::ArtifactError;

/// Why an action cannot be offered, triggered or carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// A variable that the action's task should have is missing or makes no sense.
    #[error("the environment variable {0} is missing or not valid")]
    Variable(&'static str),
    /// Nothing is offered for this group: its decision task is none, or has not said.
    #[error("the task group {0} has no decision task that offers actions (there is no public/actions.json)")]
    NoOffer(TaskId),
    /// There is no action of this name for what was chosen.
    #[error("there is no action `{0}`")]
    Unknown(String),
    /// An action on a task without one.
    #[error("the action `{0}` needs a task to act on")]
    NoTask(String),
    /// What was entered is not what the action asks for.
    #[error("the input of the action `{name}` is not valid: {}", .faults.join("; "))]
    Input {
        /// The action.
        name: String,
        /// Where and what is wrong, each.
        faults: Vec<String>,
    },
    /// What the action asks for is no JSON schema.
    #[error("the action `{name}` asks for input by a schema that cannot be used: {reason}")]
    Schema {
        /// The action.
        name: String,
        /// What is wrong with the schema.
        reason: String,
    },
    /// No hook can have this name.
    #[error("the action `{name}` names `{hook}`, and no hook can be called that")]
    Hook {
        /// The action.
        name: String,
        /// The group and the name, with a slash between them.
        hook: String,
    },
    /// An action that triggers a hook which is not for the decision task that offers it.
    #[error("the decision task may not have the hook {hook} triggered: it lacks in-tree:hook-action:{hook}")]
    HookRefused {
        /// The group and the name, with a slash between them.
        hook: String,
    },
    /// A `.taskcluster.yml` that no task can be made of.
    #[error("there are no `tasks` in .taskcluster.yml")]
    NoTemplate,
    /// A template that does not render to what its kind of action needs.
    #[error("the template of the action `{name}` gives nothing that can be sent: {reason}")]
    Template {
        /// The action.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the decision task that is not what its name says.
    #[error("{file} of the decision task cannot be read: {reason}")]
    Unreadable {
        /// The artifact.
        file: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the decision task that cannot be had.
    #[error("cannot fetch {file} of the decision task")]
    Fetch {
        /// The artifact.
        file: &'static str,
        /// Why not.
        #[source]
        source: Box<ArtifactError>,
    },
    /// A service said no.
    #[error("cannot {what}")]
    Call {
        /// What was wanted of it.
        what: String,
        /// What it said.
        #[source]
        source: Box<Error>,
    },
}

impl ActionError {
    pub(super) fn call(what: impl Into<String>, source: Error) -> Self {
        Self::Call { what: what.into(), source: Box::new(source) }
    }

    /// What the service said, if it was one that refused.
    pub fn service_error(&self) -> Option<&Error> {
        match self {
            Self::Call { source, .. } => Some(source),
            _ => None,
        }
    }
}
