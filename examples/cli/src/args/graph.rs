//! Arguments of the commands that deal with task graphs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use taskcluster_core::ids::TaskId;

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
    /// Add tasks from a file, and say the graph's state. Within a task, its own graph is "$TASK_GROUP_ID".
    Extend {
        /// The graph.
        graph: TaskId,
        /// An object with a list of `tasks`, as that of a graph, as YAML or JSON; - for standard input.
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// How long those of the tasks have that say no deadline.
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
    /// List its tasks: id, name and state, and how many others they wait for.
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
