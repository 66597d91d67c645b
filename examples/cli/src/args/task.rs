//! Arguments of the commands that deal with tasks and their groups. They are called as in the official client, and do the same.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use taskcluster_core::ids::{RunId, TaskId};

use crate::go_template::GoTemplate;

/// What to do with a task.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Create one from a file, and print its id.
    ///
    /// Within a task (TASK_ID), where the definition does not say another, it belongs to that task's group, with the same schedulerId.
    Create {
        /// The definition, as YAML or JSON; - for standard input.
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Its id [default: a new one]. Creating it again under the same id, from the same file, changes nothing.
        #[arg(long)]
        id: Option<TaskId>,
        /// How long it has, where the definition has no deadline.
        #[arg(long, value_name = "DURATION", default_value = "1 day")]
        deadline: String,
    },
    /// Say whenever it changes, until it is resolved. Ends 0 if it is completed, 1 if it is not.
    Watch {
        /// The task.
        task: TaskId,
    },
    /// Say how it stands, and how its last run does.
    Status {
        /// The task.
        task: TaskId,
        /// All runs, not only the last.
        #[arg(short, long, conflicts_with = "run")]
        all_runs: bool,
        /// This run.
        #[arg(short, long)]
        run: Option<RunId>,
    },
    /// Say its name.
    Name {
        /// The task.
        task: TaskId,
    },
    /// Print its definition.
    Def {
        /// The task.
        task: TaskId,
    },
    /// Say which group it belongs to.
    Group {
        /// The task.
        task: TaskId,
    },
    /// List its artifacts by name.
    Artifacts {
        /// The task.
        task: TaskId,
        /// Those of this run, not of the last.
        #[arg(short, long)]
        run: Option<RunId>,
    },
    /// Print its log, and go on until its run ends.
    Log {
        /// The task.
        task: TaskId,
        /// Go on until its run ends, as is done in any case: for those who are used to saying so.
        #[arg(short, long)]
        follow: bool,
    },
    /// Cancel it.
    Cancel {
        /// The task.
        task: TaskId,
        #[command(flatten)]
        caution: Caution,
    },
    /// Complete it, though no worker has run it: claim its pending run, and report that it is completed.
    Complete {
        /// The task.
        task: TaskId,
        #[command(flatten)]
        caution: Caution,
    },
    /// Create another task like it, and print its id. It waits for nothing and has no routes.
    Retrigger {
        /// The task.
        task: TaskId,
        /// With its dependencies and routes.
        #[arg(short, long)]
        exact: bool,
    },
    /// Run it once more.
    Rerun {
        /// The task.
        task: TaskId,
        #[command(flatten)]
        caution: Caution,
        /// Also if it has neither failed nor ended as an exception.
        #[arg(short, long)]
        force: bool,
    },
    /// Create one that runs a command in an image, as `docker run` does, and print its id.
    Run(TaskRunArgs),
}

/// Whether something is done at once.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Caution {
    /// Only say what would be done.
    #[arg(short, long)]
    pub(crate) noop: bool,
    /// Ask first.
    #[arg(short, long)]
    pub(crate) confirm: bool,
}

/// Arguments of `taskcluster task run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: on a worker whose payload is that of docker-worker
  taskcluster task run --provisioner local --worker-type docker ubuntu:26.04 -- ls -l /")]
pub(crate) struct TaskRunArgs {
    /// The image.
    pub(crate) image: String,
    /// The command and its arguments, after -- where one of them begins with a dash.
    #[arg(required = true)]
    pub(crate) command: Vec<String>,
    /// The first half of the task queue's name.
    #[arg(long, value_name = "ID")]
    pub(crate) provisioner: String,
    /// The second half of the task queue's name.
    #[arg(long, value_name = "TYPE")]
    pub(crate) worker_type: String,
    /// What is set in its environment; several are separated by commas. May be repeated.
    #[arg(short, long, value_name = "VARIABLE=VALUE", value_delimiter = ',')]
    pub(crate) env: Vec<String>,
    /// Its name.
    #[arg(long, default_value = "Taskcluster-cli Task")]
    pub(crate) name: String,
    /// What it is for.
    #[arg(long, default_value = "Created by Taskcluster-cli")]
    pub(crate) description: String,
    /// The address of whom it belongs to.
    #[arg(long, value_name = "EMAIL", default_value = "name@example.com")]
    pub(crate) owner: String,
    /// Where it comes from.
    #[arg(long, value_name = "URL", default_value = "http://taskcluster-cli/task/run")]
    pub(crate) source: String,
    /// A task that it waits for; several are separated by commas. May be repeated.
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(crate) dependency: Vec<TaskId>,
    /// How often it is run once more when its worker was lost.
    #[arg(long, default_value_t = 5)]
    pub(crate) retries: u32,
}

/// Arguments of `taskcluster shell`.
#[derive(Debug, Args)]
#[command(after_help = "\
The task has to run, and features.interactive has to be set in its payload. It takes the scope
queue:get-artifact:private/interactive/shell. On a terminal, ~. at the beginning of a line leads out, whatever the program does.

Ends as the program does; 1 when the deployment or the worker refused, 2 when nobody could be asked, 130 when it was left.

Example: download a file that is no artifact
  taskcluster shell fN1SbArXTPSVFNUvaOlinQ -- cat core >core")]
pub(crate) struct ShellArgs {
    /// The task; its latest run counts.
    pub(crate) task: TaskId,
    /// The program with its arguments [default: the shell that the worker has for its tasks].
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    /// In a terminal [default: if standard input and output are one].
    #[arg(short, long, overrides_with = "no_tty")]
    pub(crate) tty: bool,
    /// With pipes, through which bytes go as they are.
    #[arg(short = 'T', long, overrides_with = "tty")]
    pub(crate) no_tty: bool,
}

/// What to do with the actions that the decision task of a group offers.
#[derive(Debug, Subcommand)]
pub(crate) enum ActionCommand {
    /// List those for a task, and with `--group` before their title those for its group.
    List {
        /// The task.
        task: TaskId,
    },
    /// Trigger one as a user interface does, and print the id of the task that carries it out.
    Run(ActionRunArgs),
}

/// Arguments of `taskcluster action run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: run a task once more, and see that done
  taskcluster task log \"$(taskcluster action run rerun fN1SbArXTPSVFNUvaOlinQ)\"")]
pub(crate) struct ActionRunArgs {
    /// Its name.
    pub(crate) name: String,
    /// The task that it is for.
    pub(crate) task: TaskId,
    /// It is for the group of that task.
    #[arg(short, long)]
    pub(crate) group: bool,
    /// What it asks for: a file, - for standard input, or JSON itself.
    #[arg(short, long, value_name = "FILE|-|JSON")]
    pub(crate) input: Option<String>,
}

/// What to do with a task group.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List its tasks: id, name and state. All, or those in the states that are named.
    List(GroupListArgs),
    /// Count its tasks by state.
    Status {
        /// The group.
        group: TaskId,
    },
    /// Cancel those of its tasks that are not resolved.
    Cancel {
        /// The group.
        group: TaskId,
        /// Only those of this worker type.
        #[arg(short, long, value_name = "TYPE")]
        worker_type: Option<String>,
        /// Do not ask first.
        #[arg(short, long)]
        force: bool,
    },
    /// Seal it: it takes no more tasks, for ever.
    Seal {
        /// The group.
        group: TaskId,
    },
}

/// Arguments of `taskcluster group list`.
#[derive(Debug, Args)]
pub(crate) struct GroupListArgs {
    /// The group.
    pub(crate) group: TaskId,
    /// All tasks.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Running tasks.
    #[arg(short, long)]
    pub(crate) running: bool,
    /// Failed tasks.
    #[arg(short, long)]
    pub(crate) failed: bool,
    /// Tasks that ended as an exception.
    #[arg(short, long)]
    pub(crate) exception: bool,
    /// Completed tasks.
    #[arg(short, long, visible_alias = "completed")]
    pub(crate) complete: bool,
    /// Unscheduled tasks.
    #[arg(short, long)]
    pub(crate) unscheduled: bool,
    /// Pending tasks.
    #[arg(short, long)]
    pub(crate) pending: bool,
    /// The line of a task, of texts and fields such as {{ .Status.TaskID }}, {{ .Task.Metadata.Name }} and {{ .Status.State }}, which are
    /// those of the official client; nothing else of that language.
    #[arg(long, value_name = "GO_TEMPLATE")]
    pub(crate) format_string: Option<GoTemplate>,
}
