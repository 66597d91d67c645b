//! Arguments of the commands that help those who speak to a deployment, and what all that do share.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use taskcluster_core::ids::TaskId;

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
