//! `taskcluster task`: one task.

mod change;
mod create;
mod log;
mod retrigger;
mod run;
mod watch;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use taskcluster::queue::{Run, TaskStatus};
use taskcluster::time::minutes;
use taskcluster::{RunId, TaskQueueId, Taskcluster};

use super::artifact;
use super::talk::{BadUse, deployment, talk_of};
use crate::args::TaskCommand;
use crate::exit::Outcome;
use crate::output::Output;

/// Asks the queue about a task, or to do something with it.
pub(crate) fn task(command: TaskCommand, json: bool) -> Result<Outcome> {
    if json && matches!(command, TaskCommand::Log { .. }) {
        return Err(BadUse("--json: a log is text".to_owned()).into());
    }
    let tc = deployment()?;
    talk_of(carry_out(tc, command, json))
}

async fn carry_out(tc: Taskcluster, command: TaskCommand, json: bool) -> Result<Outcome> {
    let queue = tc.queue();
    let mut output = Output::telling(json);
    let done = match command {
        TaskCommand::Create { file, id, deadline } => {
            tell_id(&mut output, &create::create(&tc, &file, id, &deadline).await?)
        }
        TaskCommand::Watch { task } => return watch::watch(&tc, &task, json).await,
        TaskCommand::Status { task, all_runs, run } => {
            let status = queue.status(&task).await?.status;
            let runs = chosen(&status, all_runs, run)?;
            tell(&mut output, &status, runs)
        }
        TaskCommand::Name { task } => {
            let name = queue.task(&task).await?.metadata.name;
            output.tell(&json!({ "taskId": task, "name": name }), |_| name.clone())
        }
        TaskCommand::Def { task } => output.json(&queue.task(&task).raw().await?),
        TaskCommand::Group { task } => {
            let group = queue.status(&task).await?.status.task_group_id;
            output.tell(&json!({ "taskId": task, "taskGroupId": group }), |_| group.to_string())
        }
        TaskCommand::Artifacts { task, run } => artifact::list(&tc, &task, run, &mut output).await,
        TaskCommand::Log { task, follow: _ } => log::follow(&tc, &task, &mut output).await,
        TaskCommand::Cancel { task, caution } => change::cancel(&tc, &task, caution, &mut output).await,
        TaskCommand::Complete { task, caution } => change::complete(&tc, &task, caution, &mut output).await,
        TaskCommand::Retrigger { task, exact } => tell_id(&mut output, &retrigger::retrigger(&tc, &task, exact).await?),
        TaskCommand::Rerun { task, caution, force } => change::rerun(&tc, &task, caution, force, &mut output).await,
        TaskCommand::Run(args) => tell_id(&mut output, &run::run(&tc, &args).await?),
    };
    done.map(|()| Outcome::Green)
}

/// For how long a worker that asks for tasks counts as there: services note it only every half hour.
const LATELY: Duration = minutes(60);

/// What is to be said where no worker asks for the tasks of a queue. Where that cannot be seen nothing is.
async fn unserved(tc: &Taskcluster, queue: &TaskQueueId) -> Option<String> {
    let asked = match tc.queue().get_task_queue(queue.as_ref()).await {
        Ok(known) => known.last_date_active,
        Err(error) if error.is_not_found() => return Some(format!("no worker has ever asked for tasks of {queue}")),
        Err(_) => return None,
    };
    let is_long_ago = asked + LATELY < tc.caller().service_time();
    is_long_ago.then(|| format!("no worker has asked for tasks of {queue} since {asked}"))
}

/// The runs that somebody wants to see.
fn chosen(status: &TaskStatus, all: bool, run: Option<RunId>) -> Result<&[Run]> {
    if all {
        return Ok(&status.runs);
    }
    let Some(wanted) = run else { return Ok(last(status)) };
    let found = status.runs.iter().find(|run| run.run_id == wanted);
    found.map(std::slice::from_ref).with_context(|| format!("{} has no run {wanted}", status.task_id))
}

fn last(status: &TaskStatus) -> &[Run] {
    &status.runs[status.runs.len().saturating_sub(1)..]
}

/// The state of the task, and a line for each of these runs; programs see all of them.
fn tell(output: &mut Output, status: &TaskStatus, runs: &[Run]) -> Result<()> {
    output.tell(status, |status| {
        let lines = runs.iter().map(line_of);
        std::iter::once(status.state.to_string()).chain(lines).collect::<Vec<_>>().join("\n")
    })
}

/// The id of a task that was created.
fn tell_id(output: &mut Output, status: &TaskStatus) -> Result<()> {
    output.tell(status, |status| status.task_id.to_string())
}

fn line_of(run: &Run) -> String {
    let mut line = format!("run {}: {}", run.run_id, run.state);
    if let Some(reason) = run.reason_resolved.as_ref().filter(|reason| reason.as_str() != run.state.as_str()) {
        line += &format!(" ({reason})");
    }
    if let (Some(group), Some(worker)) = (&run.worker_group, &run.worker_id) {
        line += &format!(", by {group}/{worker}");
    }
    if let (Some(started), Some(resolved)) = (run.started, run.resolved) {
        line += &format!(", {:.1} s", resolved.since(started).as_secs_f64());
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_told_in_a_line() {
        let run = |more: serde_json::Value| {
            let mut run = json!({
                "runId": 1, "state": "exception", "reasonCreated": "retry", "scheduled": "2026-01-02T03:04:05.000Z",
            });
            run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line_of(&serde_json::from_value(run).unwrap())
        };
        assert_eq!(run(json!({ "reasonResolved": "deadline-exceeded" })), "run 1: exception (deadline-exceeded)");
        let whole = json!({
            "state": "completed", "reasonResolved": "completed", "workerGroup": "here", "workerId": "w-1",
            "started": "2026-01-02T03:04:05.000Z", "resolved": "2026-01-02T03:04:07.460Z",
        });
        assert_eq!(run(whole), "run 1: completed, by here/w-1, 2.5 s");
    }
}
