//! Arguments of the commands that speak to a deployment, or that help those who do.
//!
//! They are called as in the official client, and do the same.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use taskcluster_core::ids::{RunId, TaskId};

use crate::go_template::GoTemplate;

/// How values are told.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Told {
    /// Print JSON, for programs: a document for each thing, each on a line of its own where no terminal shows it.
    #[arg(long, global = true, display_order = super::AFTER_OTHERS)]
    pub(crate) json: bool,
}

/// Commands that tell values.
#[derive(Debug, Args)]
pub(crate) struct Telling<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,
    #[command(flatten)]
    pub(crate) told: Told,
}

/// Arguments of `taskcluster completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: for the shell that you are in
  source <(taskcluster completions bash)")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
    /// Where to [default: standard output].
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) filename: Option<PathBuf>,
}

/// Arguments of `taskcluster config`.
#[derive(Debug, Args)]
#[command(
    override_usage = "taskcluster config [OPTIONS] [get] [OPTION]",
    after_help = "\
The options are rootUrl, clientId, accessToken and certificate: TASKCLUSTER_ROOT_URL and so on. Secrets are not printed. Only the shell
can set them, as by `export`.

Example: which deployment is spoken to
  taskcluster config get config.rootUrl"
)]
pub(crate) struct ConfigArgs {
    /// An option, perhaps with `config.` before it [default: all].
    #[arg(num_args = 0..=3, value_name = "OPTION", hide = true)]
    pub(crate) words: Vec<String>,
    /// Where to [default: standard output].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// In which format.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: ConfigFormat,
}

/// In which format options are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum ConfigFormat {
    #[default]
    Yaml,
    Json,
}

/// Arguments of `taskcluster from-now`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: the deadline of a task
  taskcluster from-now 2 days 3 hours")]
pub(crate) struct FromNowArgs {
    /// Years, months, weeks, days, hours, minutes and seconds, such as `2 days 3 hours` or `-1h`.
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true, value_name = "DURATION")]
    pub(crate) duration: Vec<String>,
    #[command(flatten)]
    pub(crate) told: Told,
}

/// What to do with slugids.
#[derive(Debug, Subcommand)]
pub(crate) enum SlugidCommand {
    /// Make a new one, as for a task that is to be created.
    Generate {
        /// For those who are used to saying so: all that are made here are of that kind.
        #[arg(short, long, hide = true)]
        nice: bool,
    },
    /// Write one as a UUID.
    Decode {
        /// The slugid.
        slugid: TaskId,
    },
    /// Write a version 4 UUID as a slugid.
    Encode {
        /// The UUID.
        uuid: String,
    },
}

/// Arguments of `taskcluster signin`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: for this shell and a day
  eval $(taskcluster signin)")]
pub(crate) struct SigninArgs {
    /// What the client's name begins with.
    #[arg(short, long, default_value = "cli")]
    pub(crate) name: String,
    /// How long the client is to live.
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    pub(crate) expires: String,
    /// What the client may do. May be repeated.
    #[arg(short, long, value_name = "SCOPE", default_value = "*")]
    pub(crate) scope: Vec<String>,
    /// The port at which the answer of the browser is awaited; 0 takes a free one.
    #[arg(short, long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Print for csh instead of sh.
    #[arg(long)]
    pub(crate) csh: bool,
    /// Only say by the exit code whether the present credentials are good for anything.
    #[arg(long)]
    pub(crate) check: bool,
}

/// What to do with a task.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Create one from a file, and print its id.
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

/// What to do with task graphs.
#[derive(Debug, Subcommand)]
pub(crate) enum GraphCommand {
    /// Submit one from a file, and print its id. Nothing of it runs unless all its tasks are accepted.
    Submit {
        /// The graph, as YAML or JSON; - for standard input.
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Its id [default: a new one]. Submitting it again under the same id, from the same file, changes nothing.
        #[arg(long)]
        id: Option<TaskId>,
        /// How long those of its tasks have that say no deadline.
        #[arg(long, value_name = "DURATION", default_value = "1 day")]
        deadline: String,
    },
    /// List graphs, the latest first: id, state and name.
    List(GraphListArgs),
    /// Say its state.
    Status {
        /// The graph.
        graph: TaskId,
    },
    /// List its tasks: id, name and state.
    Tasks {
        /// The graph.
        graph: TaskId,
    },
    /// Cancel what has not ended.
    Cancel {
        /// The graph.
        graph: TaskId,
    },
    /// Run again what ended without success, and print which tasks those are.
    Rerun {
        /// The graph.
        graph: TaskId,
        /// This task alone, also if it has succeeded.
        task: Option<TaskId>,
    },
    /// Print it for Mermaid, which draws it where Markdown is shown.
    Draw {
        /// The graph.
        graph: TaskId,
        /// For Graphviz.
        #[arg(short, long)]
        graphviz: bool,
    },
}

/// Arguments of `taskcluster graph list`.
#[derive(Debug, Args)]
pub(crate) struct GraphListArgs {
    /// Only those with this route.
    #[arg(short, long)]
    pub(crate) route: Option<String>,
    /// Only those with this tag.
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) tag: Option<String>,
    /// Only those in this state: running, blocked or finished.
    #[arg(short, long)]
    pub(crate) state: Option<String>,
}

/// What to do with worker types.
#[derive(Debug, Subcommand)]
pub(crate) enum ProvisionCommand {
    /// Define one from a file, or change it, and print its version.
    Define {
        /// The worker type.
        worker_type: String,
        /// The definition, as YAML or JSON; - for standard input.
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The share of the capacity that a change is for, from 0 to 1 [default: all of it].
        #[arg(long)]
        share: Option<f64>,
    },
    /// List worker types: name, capacity that runs, that starts, that is asked for, and the most there may be.
    List,
    /// Print its definition as JSON, without its secrets.
    Show {
        /// The worker type.
        worker_type: String,
    },
    /// List its instances: name, version, state, capacity, when it was asked for, and why it is in its state.
    State {
        /// The worker type.
        worker_type: String,
    },
    /// Say why there are as many workers as there are.
    Explain {
        /// The worker type.
        worker_type: String,
    },
    /// List its numbers over time.
    Fleet {
        /// The worker type.
        worker_type: String,
        /// Since when.
        #[arg(long, value_name = "TIME", default_value = "-1 day", allow_hyphen_values = true)]
        since: String,
    },
    /// Write a trace of the tasks that come, for `simulate`: a line for each run that has ended.
    Record(RecordArgs),
    /// Try policies on tasks of a trace, in virtual time and without any deployment: waits, cost, idle capacity, launches.
    Simulate(SimulateArgs),
    /// Set the share of its capacity that is of its newest version; 1 is all of it.
    RollOut {
        /// The worker type.
        worker_type: String,
        /// From 0 to 1.
        share: f64,
    },
    /// Take its newest version back, and print which one is in force now.
    RollBack {
        /// The worker type.
        worker_type: String,
    },
    /// End all its instances, whatever they do, and print how many that are.
    Terminate {
        /// The worker type.
        worker_type: String,
    },
    /// Remove it, and end all its instances.
    Remove {
        /// The worker type.
        worker_type: String,
    },
}

/// Arguments of `taskcluster provision record`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: a day of local/build
  taskcluster provision record build --for '1 day' --output build.jsonl
  taskcluster provision simulate --trace build.jsonl")]
pub(crate) struct RecordArgs {
    /// The worker type, of the provisioner `local` unless another's identifier stands before it, as in other/build.
    pub(crate) worker_type: String,
    /// How long, such as `2 hours` [default: until Ctrl-C].
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// The file; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// What an hour of a unit of capacity costs, in US dollars, where the provisioner knows no price.
    #[arg(long, value_name = "DOLLARS", default_value_t = 0.1)]
    pub(crate) price: f64,
    /// How long half of the workers take at most to begin, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) boot: f64,
}

/// Arguments of `taskcluster provision simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// A trace; several may be given.
    #[arg(long = "trace", value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) traces: Vec<PathBuf>,
    /// A policy [default: each that there is].
    #[arg(long = "policy", value_name = "NAME")]
    pub(crate) policies: Vec<String>,
    /// How many tasks may wait for each unit that runs; each is tried.
    #[arg(long, value_delimiter = ',', default_value = "0,0.025,0.05,0.1,0.15,0.2,0.3,0.4,0.6,0.8,1.2")]
    pub(crate) ratio: Vec<f64>,
    /// How much is kept ready for tasks to come, in square roots of what is busy; each is tried with no task that may wait.
    #[arg(long, value_delimiter = ',', default_value = "0.5,1,2")]
    pub(crate) spare: Vec<f64>,
    /// How long a worker has nothing to do before it asks whether it is needed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) idle: u64,
    /// A folder for pictures, one for each trace.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) svg: Option<PathBuf>,
}

/// What to do with artifacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactCommand {
    /// List those of a task by name.
    List {
        /// The task.
        task: TaskId,
        /// Those of this run, not of the last.
        #[arg(short, long)]
        run: Option<RunId>,
    },
    /// Download one, as `download artifact` does.
    #[command(override_usage = "taskcluster artifact get <TASK> [RUN] <NAME> [FILE]")]
    Get(DownloadArtifactArgs),
    /// Upload a file as an artifact of a run that is under way: within a task, of the task itself.
    Put(ArtifactPutArgs),
}

/// Arguments of `taskcluster artifact put`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: within a task that has the feature taskclusterProxy
  taskcluster artifact put public/report.html report.html")]
pub(crate) struct ArtifactPutArgs {
    /// The artifact's name; everybody can read what is below public/ on most deployments.
    pub(crate) name: String,
    /// The file; - for standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The task.
    #[arg(long, env = "TASK_ID")]
    pub(crate) task: TaskId,
    /// Its run.
    #[arg(long, env = "RUN_ID")]
    pub(crate) run: RunId,
    /// What it is, such as text/html [default: as the artifact's name ends].
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// When it goes, such as `7 days` from now [default: with the task].
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<String>,
    /// Store it compressed by gzip, which browsers and `curl --compressed` undo.
    #[arg(long)]
    pub(crate) gzip: bool,
    /// Keep it in the object service.
    #[arg(long)]
    pub(crate) object: bool,
}

/// What to download.
#[derive(Debug, Subcommand)]
pub(crate) enum DownloadCommand {
    /// An artifact of a task.
    Artifact(DownloadArtifactArgs),
    /// An object, by its name in the object service.
    Object(DownloadObjectArgs),
}

/// Arguments of `taskcluster download object`.
#[derive(Debug, Args)]
pub(crate) struct DownloadObjectArgs {
    /// The object's name.
    pub(crate) name: String,
    /// The file, - for standard output.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) filename: PathBuf,
    /// As it is stored: what is compressed by gzip stays so.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Arguments of `taskcluster download artifact`.
#[derive(Debug, Args)]
#[command(
    override_usage = "taskcluster download artifact <TASK> [RUN] <NAME> [FILE]",
    after_help = "\
Example: into the file build.zip
  taskcluster download artifact fN1SbArXTPSVFNUvaOlinQ public/build.zip"
)]
pub(crate) struct DownloadArtifactArgs {
    /// The task.
    pub(crate) task: TaskId,
    /// Perhaps the number of a run, the artifact's name, perhaps the file.
    #[arg(required = true, num_args = 1..=3, value_name = "NAME")]
    pub(crate) rest: Vec<String>,
    /// The file, - for standard output [default: called as the last part of the artifact's name].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// As it is stored: what is compressed by gzip stays so.
    #[arg(long)]
    pub(crate) raw: bool,
}
