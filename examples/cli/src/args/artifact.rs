//! Arguments of the commands that deal with artifacts and objects.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use taskcluster_core::ids::{RunId, TaskId};

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
