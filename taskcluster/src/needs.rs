//! Which scopes a call asks for, known before it is made.

use taskcluster_core::request::Call;
use taskcluster_core::scopes::{Params, RenderError, ScopeExpression, ScopeSet};

mod worked_out;

/// Which scopes a call asks for, known before it is made: generated methods give requests, and a request tells.
///
/// Most methods ask for scopes that their arguments say all of. Some ask for what the service knows of the task, or of
/// whatever they are about; you say that, usually as the status that the service told.
///
#[cfg_attr(feature = "queue", doc = "```")]
#[cfg_attr(not(feature = "queue"), doc = "```ignore")]
/// use taskcluster::time::minutes;
/// use taskcluster::{Credentials, Needs, ScopeSet, TaskId, Taskcluster};
/// # use taskcluster::queue::TaskStatus;
/// # fn example(tc: &Taskcluster, task_id: TaskId, status: &TaskStatus) -> Result<(), taskcluster::Report> {
/// let queue = tc.queue();
/// let log = queue.get_latest_artifact(&task_id, "private/log");
/// assert_eq!(log.needs()?.scopes(), ["queue:get-artifact:private/log"]);
/// assert!(log.can_call(&ScopeSet::from_iter(["queue:get-artifact:private/*"]))?);
///
/// // Who may cancel a task depends on its group, its scheduler and its project.
/// let cancel = queue.cancel_task(&task_id);
/// assert!(cancel.needs().is_err());
/// let calls = [log.needs()?, cancel.needs_of(status)?];
///
/// // Credentials for these two calls and nothing else.
/// let lent = Credentials::new("project/me", "hunter2").for_calls(calls, minutes(15))?;
/// # Ok(())
/// # }
/// ```
///
/// A few things only the service knows, and what is said here is then more than it asks for: `auth.updateClient` and
/// `auth.updateRole` ask for those scopes that are added, here it is all that the client or role is to have. Artifacts
/// may be public to anyone by the role `anonymous`, of which nothing is known here.
pub trait Needs {
    /// What the call asks for, by its arguments and `known`, which says what else the service knows. Nothing at all
    /// is [`AllOf`](ScopeExpression::AllOf) of nothing.
    ///
    /// # Errors
    /// If a value is missing, naming it.
    fn needs_with(&self, known: Params) -> Result<ScopeExpression, RenderError>;

    /// What the call asks for, by its arguments alone.
    ///
    /// # Errors
    /// As [`needs_with`](Self::needs_with).
    fn needs(&self) -> Result<ScopeExpression, RenderError> {
        self.needs_with(Params::new())
    }

    /// What the call asks for, by its arguments and what something says about itself: a task's status or definition, a
    /// task group, a worker. See [`Params::of`].
    ///
    /// # Errors
    /// As [`needs_with`](Self::needs_with).
    fn needs_of(&self, known: &impl serde::Serialize) -> Result<ScopeExpression, RenderError> {
        self.needs_with(Params::of(known))
    }

    /// Whether somebody who has these scopes may make the call. They must be expanded: roles replaced by what they stand
    /// for, as `auth.currentScopes` gives them.
    ///
    /// # Errors
    /// As [`needs_with`](Self::needs_with).
    fn can_call(&self, held: &ScopeSet) -> Result<bool, RenderError> {
        Ok(self.needs()?.satisfied_by(held))
    }
}

impl<C: Call> Needs for C {
    fn needs_with(&self, known: Params) -> Result<ScopeExpression, RenderError> {
        let nothing = ScopeExpression::AllOf(Vec::new());
        let outline = self.outline();
        let Some(template) = outline.operation.scopes else { return Ok(nothing) };
        let params = worked_out::complete(&outline, known.with_all(outline.params()));
        Ok(template.render(&params)?.unwrap_or(nothing))
    }
}
