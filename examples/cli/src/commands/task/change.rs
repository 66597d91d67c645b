//! What is done to a task that is there: after a look at it, and perhaps a question.

use anyhow::{Result, bail};
use taskcluster::queue::{Queue, RunState, TaskClaimRequest, TaskState, TaskStatus};
use taskcluster::{Credentials, TaskId, Taskcluster};

use super::super::confirm::confirm;
use super::{last, tell};
use crate::args::Caution;
use crate::output::Output;

/// Who completes tasks by hand, as in the official client: whoever may do it there may do it here.
const WORKER_ID: &str = "taskcluster-cli";

/// Cancels it.
pub(super) async fn cancel(tc: &Taskcluster, task: &TaskId, caution: Caution, output: &mut Output) -> Result<()> {
    if !goes_on(tc, task, caution, ("would cancel", ""), "Cancel", output).await? {
        return Ok(());
    }
    let status = tc.queue().cancel_task(task).await?.status;
    tell(output, &status, last(&status))
}

/// Runs it once more.
pub(super) async fn rerun(
    tc: &Taskcluster,
    task: &TaskId,
    caution: Caution,
    force: bool,
    output: &mut Output,
) -> Result<()> {
    let state = tc.queue().status(task).await?.status.state;
    if !force && !matches!(state, TaskState::Failed | TaskState::Exception) {
        bail!("{task} is {state}: it has not failed; --force runs it once more all the same");
    }
    if !goes_on(tc, task, caution, ("would run", " once more"), "Run once more", output).await? {
        return Ok(());
    }
    let status = tc.queue().rerun_task(task).await?.status;
    tell(output, &status, last(&status))
}

/// Claims its pending run, and reports that it is completed.
#[expect(deprecated, reason = "claimTask is the only call that claims one task")]
pub(super) async fn complete(tc: &Taskcluster, task: &TaskId, caution: Caution, output: &mut Output) -> Result<()> {
    let status = tc.queue().status(task).await?.status;
    let Some(run) = status.runs.last().filter(|run| run.state == RunState::Pending) else {
        bail!("{task} is {}: only what is pending can be completed", status.state);
    };
    if !goes_on(tc, task, caution, ("would complete", ""), "Complete", output).await? {
        return Ok(());
    }
    // A claim tells which worker has it; there is none, and the official client says this instead.
    let claim = TaskClaimRequest::new(status.worker_type.as_str(), WORKER_ID);
    let claimed = tc.queue().claim_task(task, run.run_id, &claim).await?;
    let credentials = Credentials::try_from(&claimed.credentials)?;
    // What the caller restricts itself to is none of theirs.
    let scopes = credentials.certificate.as_ref().map(|certificate| certificate.scopes.clone()).unwrap_or_default();
    let as_worker = tc.caller().to_builder().credentials(credentials).authorized_scopes(scopes).build()?;
    let status: TaskStatus = Queue::new(as_worker).report_completed(task, claimed.run_id).await?.status;
    tell(output, &status, last(&status))
}

/// Whether it shall be done: says what would be, or asks.
async fn goes_on(
    tc: &Taskcluster,
    task: &TaskId,
    caution: Caution,
    would: (&str, &str),
    verb: &str,
    output: &mut Output,
) -> Result<bool> {
    if caution.noop {
        output.remark(&format!("{} {task}{}", would.0, would.1))?;
        return Ok(false);
    }
    if !caution.confirm {
        return Ok(true);
    }
    let (definition, status) = (tc.queue().task(task).await?, tc.queue().status(task).await?.status);
    let question = format!("{verb}: {} ({task}, {})?", definition.metadata.name, status.state);
    let goes_on = confirm(&question, "without --confirm nobody is")?;
    if !goes_on {
        output.remark("nothing was done")?;
    }
    Ok(goes_on)
}
