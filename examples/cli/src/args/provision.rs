//! Arguments of the commands that deal with worker types.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

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
