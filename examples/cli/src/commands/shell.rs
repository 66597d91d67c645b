//! `taskcluster shell`: a program beside the code of a running task, on this terminal.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use taskcluster::queue::{ArtifactContentResponse, RunState, TaskDefinition};
use taskcluster::{RunId, TaskId, Taskcluster};
use taskcluster_worker::plugins::SHELL;
use taskcluster_worker::shell::ShellRequest;
use taskcluster_worker::shell::client::{ShellError, attend_until};
use tokio_util::sync::CancellationToken;
use url::Url;
use worker_kit::terminal::{self, Raw};

use super::talk::{Stopped, deployment, talk_of};
use crate::args::ShellArgs;
use crate::exit::Outcome;
use crate::output::ReaderGone;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens a shell, and ends as it does.
pub(crate) fn shell(args: &ShellArgs) -> Result<Outcome> {
    let tc = deployment()?;
    talk_of(open(&tc, args))
}

async fn open(tc: &Taskcluster, args: &ShellArgs) -> Result<Outcome> {
    let mut asked = std::pin::pin!(terminal::asked_to_end().context("cannot listen to signals")?);
    let address = tokio::select! {
        address = find(tc, &args.task) => address?,
        () = &mut asked => return Err(Stopped.into()),
    };
    let in_terminal = args.tty || (!args.no_tty && terminal::is_there());
    // Somebody may want a terminal there who has none here.
    let is_raw = in_terminal && terminal::is_there();
    let mut request = ShellRequest::new(&args.command);
    if in_terminal {
        request = request.with_terminal(terminal::size());
    }
    let leave = CancellationToken::new();
    let raw = is_raw.then(Raw::enter).transpose().context("the terminal cannot be used")?;
    let seat = terminal::seat(is_raw, leave.clone()).context("there is no standard input or output")?;
    let leaving = async {
        tokio::select! {
            () = &mut asked => leave.cancel(),
            () = leave.cancelled() => {}
        }
    };
    let ended = attend_until(&address, request, seat, leaving).await;
    drop(raw);
    if ended.is_err() && leave.is_cancelled() {
        return Err(Stopped.into());
    }
    let code = ended.map_err(|error| in_words(error, &args.task, &address))?;
    Ok(Outcome::Program(code.to_le_bytes()[0]))
}

/// Where the shells of a running task are. Waits for a worker that has only just begun.
async fn find(tc: &Taskcluster, task: &TaskId) -> Result<Url> {
    let mut has_waited = false;
    loop {
        let run = running(tc, task).await?;
        if let Some(address) = address(tc, task, run).await? {
            return Ok(address);
        }
        if !has_waited {
            if !allows_shells(&tc.queue().task(task).await?) {
                bail!(
                    "{task} has no shell: features.interactive is not set in its payload; \
                     `taskcluster action run create-interactive {task}` makes a task like it that has one, where that is offered"
                );
            }
            eprintln!("note: {task} is running: waiting until its worker has opened a shell");
            has_waited = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The run that is under way.
async fn running(tc: &Taskcluster, task: &TaskId) -> Result<RunId> {
    let status = tc.queue().status(task).await?.status;
    let run = status.runs.last().filter(|run| run.state == RunState::Running);
    let run = run.with_context(|| format!("{task} is {}: only a task that runs has a shell", status.state))?;
    Ok(run.run_id)
}

async fn address(tc: &Taskcluster, task: &TaskId, run: RunId) -> Result<Option<Url>> {
    match tc.queue().artifact(task, run, SHELL).await {
        Ok(ArtifactContentResponse::Reference(content)) => {
            let url = content.url.parse::<Url>();
            Ok(Some(url.with_context(|| format!("the artifact {SHELL} of {task} leads nowhere"))?))
        }
        Ok(_) => bail!("the artifact {SHELL} of {task} does not lead to a shell"),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) if error.is_forbidden() => {
            let what = format!("you may not open a shell in {task}: it takes the scope queue:get-artifact:{SHELL}");
            Err(anyhow!(error).context(what))
        }
        Err(error) => Err(error.into()),
    }
}

fn allows_shells(task: &TaskDefinition) -> bool {
    let feature = task.payload.get("features").and_then(|features| features.get("interactive"));
    feature.and_then(serde_json::Value::as_bool).unwrap_or(false)
}

/// What went wrong, without the address: who knows it gets in.
fn in_words(error: ShellError, task: &TaskId, address: &Url) -> anyhow::Error {
    match error {
        ShellError::Io(error) if error.kind() == ErrorKind::BrokenPipe => ReaderGone.into(),
        ShellError::Gone => anyhow!("the worker of {task} has no such shell any more: the task may have ended"),
        ShellError::Address(_) => anyhow!("the artifact {SHELL} of {task} does not lead to a shell"),
        ShellError::Unreachable(why) => {
            let host = address.host_str().unwrap_or_default();
            let port = address.port_or_known_default().unwrap_or_default();
            anyhow!("the worker of {task} cannot be reached at {host}:{port}: {why}")
        }
        error => error.into(),
    }
}
