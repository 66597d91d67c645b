//! The command line, as clap sees it.

mod artifact;
mod client;
mod graph;
#[cfg(test)]
mod official;
mod provision;
mod task;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Parser, Subcommand};
use service_kit::blobs::Location;
use service_kit::bus::{BusUrl, BusUrlError};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::root_url::{InvalidRootUrl, RootUrl};

use crate::api::Invocation;
use crate::providers::Asked;

pub(crate) use artifact::*;
pub(crate) use client::*;
pub(crate) use graph::*;
pub(crate) use provision::*;
pub(crate) use task::*;

/// Where options stand in a command's help that it shares with others: after its own, before `--help`, which has 999.
const AFTER_OTHERS: usize = 990;

/// TaskCluster on your machine: run a repository's tasks, serve a deployment, or speak to one.
///
/// The deployment that is spoken to is that of TASKCLUSTER_ROOT_URL, by the credentials in TASKCLUSTER_CLIENT_ID,
/// TASKCLUSTER_ACCESS_TOKEN and TASKCLUSTER_CERTIFICATE, or through TASKCLUSTER_PROXY_URL.
#[derive(Debug, Parser)]
#[command(name = "taskcluster", version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "\
Example: run the tasks of the commit that you are on, as its .taskcluster.yml says
  taskcluster run")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show on standard error what is called, and what goes on besides. RUST_LOG says more exactly what.
    #[arg(short, long, global = true, display_order = AFTER_OTHERS + 1)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the tasks of a commit on this machine, and say how they ended.
    Run(RunArgs),
    /// Serve a deployment on this machine until Ctrl-C.
    Up(Box<UpArgs>),
    /// Take tasks from a deployment and run their commands on this machine: the program native-worker.
    #[command(disable_help_flag = true, disable_help_subcommand = true)]
    NativeWorker {
        /// What to do; `--help` says what there is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        arguments: Vec<OsString>,
    },
    /// Call any method of any service.
    #[command(after_help = API_HELP)]
    Api(Box<Invocation>),
    /// Create a task, see how it stands, read its log, run it again.
    Task(Box<Telling<TaskCommand>>),
    /// See how the tasks of a group stand, cancel them, or let the group have no more.
    Group(Telling<GroupCommand>),
    /// Submit a graph of tasks, see how it stands, run again what failed, draw it.
    Graph(Telling<GraphCommand>),
    /// Define worker types, see how many workers there are and why, roll a change out or take it back.
    Provision(Telling<ProvisionCommand>),
    /// List, download and upload what tasks leave.
    Artifact(Box<Telling<ArtifactCommand>>),
    /// Open a shell in a running task that allows it, or run a program there.
    Shell(ShellArgs),
    /// See what may be done to a task or its group, and have it done.
    Action(Telling<ActionCommand>),
    /// Download what a task left, or any object.
    Download(Telling<DownloadCommand>),
    /// Get credentials for this shell by way of the browser, and print them as `export` lines.
    Signin(SigninArgs),
    /// Say which time lies so far from now.
    FromNow(FromNowArgs),
    /// Make an id for a task, or translate one.
    Slugid {
        #[command(subcommand)]
        command: Option<SlugidCommand>,
        #[command(flatten)]
        told: Told,
    },
    /// Print what makes a shell complete commands, options and the methods of the services.
    Completions(CompletionsArgs),
    /// Print what the variables say: the root URL, the client, and whether there are credentials.
    Config(ConfigArgs),
    /// Print the version.
    Version {
        /// Its number alone.
        #[arg(short, long)]
        short_version: bool,
    },
}

const API_HELP: &str = "\
Ends 0 when the service has answered, 1 when it refused or did not answer, 2 when it could not be asked.

Example: the ids and names of the tasks of a group that failed
  taskcluster api queue listTaskGroup --all fN1SbArXTPSVFNUvaOlinQ |
    jq -r 'select(.status.state == \"failed\") | .status.taskId + \" \" + .task.metadata.name'";

/// Arguments of `taskcluster run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends 0 when every task is green, 1 when one is not, 2 when it could not begin, 130 after Ctrl-C or SIGTERM.

Example: run the tasks of the last commit of the repository you are in
  taskcluster run")]
pub(crate) struct RunArgs {
    /// The repository: any folder of it.
    #[arg(default_value = ".")]
    pub(crate) repository: PathBuf,
    /// The commit to run; uncommitted changes are never part of it.
    #[arg(long, value_name = "R", default_value = "HEAD")]
    pub(crate) revision: String,
    /// The commit to compare with [default: the first parent].
    #[arg(long, value_name = "R")]
    pub(crate) base: Option<String>,
    /// Where tasks, artifacts and caches are kept [default: a folder per repository below ~/.local/state/taskcluster].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Also take the tasks of this queue. May be repeated; `local/native` is always served.
    #[arg(long, value_name = "PROVISIONER/TYPE", value_parser = task_queue)]
    pub(crate) serve: Vec<TaskQueueId>,
    /// Allow the tasks this scope in this run, beyond what repositories may do here. May be repeated.
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub(crate) grant: Vec<String>,
    /// Stay when only tasks are left that nobody here takes.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stay when everything is over, until Ctrl-C: to look around, and to try actions.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print one JSON event a line, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `taskcluster up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: a deployment with a worker for the queue `local/native`
  taskcluster up --serve local/native")]
pub(crate) struct UpArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// The root URL, where others reach this deployment under another name, say behind a proxy [default: http://ADDR].
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<RootUrl>,
    /// Where tasks, artifacts and keys are kept [default: ~/.local/state/taskcluster/up].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The database: `sqlite:PATH`, or `postgres://…` in a build with that feature [default: SQLite in DIR].
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Where events go: `memory:`, or `amqp://USER:PASSWORD@HOST/VHOST` in a build with that feature.
    #[arg(long, value_name = "URL", env = "TASKCLUSTER_UP_BUS", hide_env_values = true, default_value = "memory:", value_parser = QuietBusUrl)]
    pub(crate) bus: BusUrl,
    /// Where artifacts are kept: a folder, or `s3://BUCKET?region=…` in a build with that feature [default: in DIR].
    #[arg(long, value_name = "URL")]
    pub(crate) blobs: Option<Location>,
    /// Run a native worker for this queue. May be repeated.
    #[arg(long, value_name = "PROVISIONER/TYPE", value_parser = task_queue)]
    pub(crate) serve: Vec<TaskQueueId>,
    /// Run a Docker worker for this queue, in a build with that feature: tasks run in containers of the engine at DOCKER_HOST, else at
    /// unix:///var/run/docker.sock. May be repeated.
    #[arg(long, value_name = "PROVISIONER/TYPE", value_parser = task_queue)]
    pub(crate) serve_docker: Vec<TaskQueueId>,
    /// Let worker types have workers of this kind, in a build with that feature: `docker`, in containers of the engine at DOCKER_HOST,
    /// with `network=…`, `volume=…` and `host=…`; `ec2`, on machines of Amazon's, with `region=…`, credentials of the usual variables.
    /// Processes of this machine need no word. May be repeated.
    #[arg(long, value_name = "KIND[?OPTION=VALUE&…]")]
    pub(crate) provider: Vec<Asked>,
}

/// Reads the URL of a bus. Other than clap's parsers it does not repeat what it refuses, which may hold a password.
#[derive(Debug, Clone, Copy)]
struct QuietBusUrl;

impl TypedValueParser for QuietBusUrl {
    type Value = BusUrl;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<BusUrl, clap::Error> {
        let parsed = value.to_str().unwrap_or_default().parse();
        let refused = |error: BusUrlError| clap::Error::raw(ErrorKind::ValueValidation, format!("--bus: {error}\n"));
        parsed.map_err(|error| refused(error).with_cmd(command))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

/// The name of a queue that tasks can be created for.
fn task_queue(text: &str) -> Result<TaskQueueId, String> {
    let queue = text.parse::<TaskQueueId>().ok().filter(TaskQueueId::is_nameable);
    queue.ok_or_else(|| {
        "no task can name such a queue; it is PROVISIONER/TYPE: PROVISIONER of 1 to 38 letters, digits, - and _; \
         TYPE of 1 to 38 small letters, digits and -, a letter first and no - last"
            .to_owned()
    })
}

/// What may stand in the `scopes` of a task.
fn scope(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("a scope is made of printable ASCII".to_owned())
    }
}

/// A root URL whose path would be signed by callers and lost on the way to us is none for a deployment.
fn public_url(text: &str) -> Result<RootUrl, String> {
    let url: RootUrl = text.parse().map_err(|error: InvalidRootUrl| error.to_string())?;
    let authority = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
    if authority.contains('/') { Err("it must end with the host or the port".to_owned()) } else { Ok(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_is_refused_is_not_repeated() {
        for url in ["redis://me:hunter2@localhost/", "amqp:me:hunter2", "hunter2"] {
            let told = Cli::try_parse_from(["taskcluster", "up", "--bus", url]).unwrap_err().to_string();
            assert!(told.contains("--bus: a bus is named by memory:") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_queue_is_served_if_tasks_can_name_it() {
        for name in ["local/native", "Proj_1/gw-linux-2", "a/b", &format!("{}/{}", "p".repeat(38), "w".repeat(38))] {
            assert!(task_queue(name).is_ok(), "{name}");
        }
        let long = format!("a/{}", "w".repeat(39));
        for name in ["", "a", "a/", "/b", "a/B", "a/2b", "a/-b", "a/b-", "a/b_c", "a.b/c", "a/b/c", "a/bß", &long] {
            assert!(task_queue(name).is_err(), "{name}");
        }
    }
}
