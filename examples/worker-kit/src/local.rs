//! `run-local`: one task on one's own desk.

mod slot;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use taskcluster::Taskcluster;
use taskcluster_core::TaskId;
use taskcluster_core::credentials::Credentials;
use taskcluster_worker::events::Event;
use taskcluster_worker::local::LocalTask;
use taskcluster_worker::shell::{ShellRequest, here};
use taskcluster_worker::{Error, Outcome, Reason, Shutdown};
use tokio_util::sync::CancellationToken;

use self::slot::Slot;
use crate::command;
use crate::config::WorkerConfig;
use crate::program::{ConfigOptions, Program, close_to_others, print};
use crate::terminal::{self, Raw};

/// What is run, and where it leaves what.
#[derive(Debug, Args)]
pub(crate) struct LocalOptions<C: Args> {
    /// A task of the deployment, by its id; or a file with a definition or a payload, as YAML or JSON.
    task: String,
    /// The folder where artifacts become files, below their names.
    #[arg(long, default_value = "artifacts")]
    artifacts: PathBuf,
    /// Keep what the task leaves, to look at it, and say how that is done.
    #[arg(long)]
    keep: bool,
    /// Do not run the task's command: open a shell where it would run, on this terminal. The command is shown, to be typed.
    #[arg(long)]
    shell: bool,
    #[command(flatten)]
    config: ConfigOptions<C>,
}

/// Run the task, its log on the terminal.
pub(crate) async fn run<P: Program>(options: LocalOptions<P::Config>) -> Result<ExitCode> {
    let mut config = options.config.load()?;
    let (task_id, definition) = find(&options.task).await?;
    let credentials = Credentials::from_env().context("the credentials in the environment are none")?;
    let mut task = LocalTask::from_value(definition)?
        .with_task_id(task_id)
        .with_credentials(credentials)
        .keep_in(&options.artifacts);
    // Until all is done.
    let slot = Slot::take(P::NAME)?;
    fill_in(P::common(&mut config), P::NAME, task.task_queue_id(), slot.path());
    let hint = if options.keep { Some(P::keep(&mut config, &task_id)?) } else { None };
    if options.shell {
        P::run_only_shells(&mut config)?;
        task = with_shell(task);
    }
    close_to_others();
    let builder = P::worker(config).await?.events(Arc::new(tell));
    let end = task.run(builder, Shutdown::at_once_by_signals().context("cannot listen for signals")?).await?;
    for path in &end.artifacts {
        print(&format!("artifact: {}", path.display()));
    }
    if let Some(hint) = hint {
        print(&hint);
    }
    Ok(match (end.outcome, end.shell) {
        (Some(Outcome::Completed), _) => ExitCode::SUCCESS,
        // As shells tell it: what does not fit is cut.
        (Some(Outcome::Failed), Some(code)) if code & 0xff != 0 => ExitCode::from(code.to_le_bytes()[0]),
        (Some(Outcome::Exception(Reason::WorkerShutdown)), _) => ExitCode::from(INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

/// As shells tell that Ctrl-C ended something.
const INTERRUPTED: u8 = 130;

/// The shell has this terminal, or where there is none, standard input and output.
fn with_shell(task: LocalTask) -> LocalTask {
    let is_terminal = terminal::is_there();
    let mut request = ShellRequest::default();
    if is_terminal {
        request = request.with_terminal(terminal::size());
    }
    let commands = command::as_typed(task.payload());
    task.with_shell(request, move |shell| async move {
        for line in commands {
            eprintln!("the task's command, which is not run: {line}");
        }
        let failed = |error| Error::worker_caused("the shell cannot have this terminal", error);
        let _raw = is_terminal.then(Raw::enter).transpose().map_err(failed)?;
        let seat = terminal::seat(is_terminal, CancellationToken::new()).map_err(failed)?;
        here::attend(shell, seat).await
    })
}

/// What a task prints is for whoever started it.
fn tell(event: Event) {
    match event {
        Event::Log { chunk, .. } => {
            let mut out = std::io::stdout();
            // A reader that has gone does not end the task.
            let _ = out.write_all(&terminal::lines(&chunk)).and_then(|()| out.flush());
        }
        Event::Trouble { message } => {
            let _ = std::io::stderr().write_all(&terminal::lines(format!("error: {message}\n").as_bytes()));
        }
        _ => {}
    }
}

async fn find(task: &str) -> Result<(TaskId, Value)> {
    let path = Path::new(task);
    if path.exists() {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {task}"))?;
        let value: Value =
            serde_yaml_ng::from_str(&text).with_context(|| format!("{task} is neither YAML nor JSON"))?;
        return Ok((TaskId::new(), value));
    }
    let Ok(task_id) = task.parse::<TaskId>() else { bail!("{task:?} is neither a file nor the id of a task") };
    let tc = Taskcluster::from_env().with_context(|| format!("cannot ask for the task {task}"))?;
    let definition = tc.queue().task(&task_id).await.with_context(|| format!("cannot get the task {task}"))?;
    Ok((task_id, serde_json::to_value(definition)?))
}

/// What a worker on a desk need not be told.
fn fill_in(config: &mut WorkerConfig, name: &str, task_queue_id: &str, dir: &Path) {
    let or = |value: &mut Option<String>, default: &str| {
        value.get_or_insert_with(|| default.to_owned());
    };
    if std::env::var_os("TASKCLUSTER_ROOT_URL").is_none() {
        // Whoever is called there is told so.
        or(&mut config.root_url, "http://localhost");
    }
    or(&mut config.task_queue_id, task_queue_id);
    or(&mut config.worker_group, "local");
    or(&mut config.worker_id, "desk");
    if config.client_id.is_none() {
        config.client_id = Some("local".to_owned());
        config.access_token = Some("the desk asks nobody".to_owned().into());
    }
    // There is nothing to wait for: no other task will leave, and this one says so itself if there is no room.
    config.required_disk_space.get_or_insert(0);
    // Nobody else looks on.
    (config.tunnel_url, config.tunnel_audience) = (None, None);
    config.work_dir = Some(dir.join("work"));
    if config.cache_dir.is_none() {
        config.cache_dir = Some(cache_home().unwrap_or_else(|| dir.to_owned()).join(name));
    }
}

/// Where programs of this user keep what they can do without.
fn cache_home() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}
