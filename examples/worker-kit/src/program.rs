//! The command line of a worker.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use taskcluster_core::TaskId;
use taskcluster_worker::plugins::SigningKey;
use taskcluster_worker::{Shutdown, WorkerBuilder};

use crate::config::{WorkerConfig, prefix};
use crate::doctor::{self, Examination};
use crate::layers::{Layer, lay, load};
use crate::local::{self, LocalOptions};
use crate::provisioned;

/// What is particular to the program of one worker.
pub trait Program {
    /// Its name, such as `docker-worker`.
    const NAME: &'static str;

    /// What it does, in a sentence.
    const ABOUT: &'static str;

    /// Its configuration. Fields are optional; those that are not set are skipped when it is written.
    type Config: Args + Serialize + DeserializeOwned + JsonSchema + Send;

    /// Refuse a configuration that makes no worker, without calling anybody. `file` is where it was read, if it was.
    ///
    /// # Errors
    /// Why it makes none.
    fn check(config: &Self::Config, file: Option<&Path>) -> Result<()>;

    /// The part of the configuration that all workers have.
    fn common(config: &mut Self::Config) -> &mut WorkerConfig;

    /// The worker that is configured.
    ///
    /// # Errors
    /// The configuration makes none, or what it needs is not there.
    fn worker(config: Self::Config) -> impl Future<Output = Result<WorkerBuilder>> + Send;

    /// Arrange that what a task leaves can be looked at after a local run, and say how.
    ///
    /// # Errors
    /// This worker cannot.
    fn keep(_config: &mut Self::Config, _task_id: &TaskId) -> Result<String> {
        bail!("this worker cannot keep what a task leaves")
    }

    /// Arrange that a local run runs no command, only the shell that is opened in its place.
    ///
    /// # Errors
    /// This worker opens no shells.
    fn run_only_shells(_config: &mut Self::Config) -> Result<()> {
        bail!("this worker opens no shells in tasks")
    }

    /// Try what it will need beside what all workers do: `doctor`.
    fn examine(_config: &Self::Config, _examination: &mut Examination) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The JSON schema of the payloads that the worker takes which is configured.
    ///
    /// # Errors
    /// Payloads depend on the configuration, which does not say what it must.
    fn schema(config: &Self::Config) -> Result<Value>;
}

#[derive(Debug, Parser)]
#[command(version)]
struct Options<C: Args> {
    #[command(subcommand)]
    command: Command<C>,
}

#[derive(Debug, Subcommand)]
enum Command<C: Args> {
    /// Claim and run tasks. SIGTERM gives running tasks back to the queue; SIGINT lets them end first, once more gives them back.
    Run(ConfigOptions<C>),
    /// Run one task here and now, without a queue: the same payload in the same surroundings. Ends 0 if the task is completed, or as
    /// the shell does that is opened instead of its command.
    RunLocal(LocalOptions<C>),
    /// Say whether the configuration makes a worker.
    Check(ConfigOptions<C>),
    /// Try what the worker will need: deployment, clock, credentials, disk and more. Says what is wrong and what to do.
    Doctor(ConfigOptions<C>),
    /// Print the JSON schema of the payloads that it takes.
    Schema(ConfigOptions<C>),
    /// Make a key that signs for tasks, and print its public half.
    NewEd25519Keypair {
        /// The file to write, which must not be there yet.
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigOptions<C: Args> {
    /// A TOML file with the options below as keys, such as `task_queue_id`.
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: C,
}

impl<C: Args + Serialize + DeserializeOwned + JsonSchema> ConfigOptions<C> {
    /// What the file says, with what else is said put over it.
    pub(crate) fn load(self) -> Result<C> {
        match self.config {
            Some(path) => load(&path, &self.options),
            None => Ok(self.options),
        }
    }

    /// The same, over what a provisioner has told.
    pub(crate) fn over(&self, mut told: Vec<Layer>) -> Result<C> {
        told.extend(self.path().map(Layer::of_file).transpose()?);
        lay(told, &self.options)
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// Run the program: read the command line, do what it says, say what went wrong.
pub async fn main<P: Program>() -> ExitCode {
    main_as::<P>(P::NAME, std::env::args_os().skip(1)).await
}

/// The same as a part of another program, where users type `called` and the arguments.
pub async fn main_as<P: Program>(called: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let arguments = std::iter::once(called.into()).chain(arguments);
    let matches = command::<P>(called).get_matches_from(arguments);
    let options = match Options::<P::Config>::from_arg_matches(&matches) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match carry_out::<P>(options.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command line, where each option is an environment variable as well.
fn command<P: Program>(called: &str) -> clap::Command {
    let prefix = prefix(P::NAME);
    let example = format!("Example:\n  {called} run --config /etc/{}.toml", P::NAME);
    let with_env = |command: clap::Command| {
        let prefix = prefix.clone();
        command.mut_args(move |arg| {
            // It is the worker's group already in the program's name.
            let id = arg.get_id().as_str();
            let name = format!("{prefix}_{}", id.strip_prefix("worker_").unwrap_or(id).to_uppercase());
            if arg.get_long().is_some() { arg.env(name) } else { arg }
        })
    };
    Options::<P::Config>::command()
        .name(P::NAME)
        .bin_name(called)
        .about(P::ABOUT)
        .after_help(example)
        .mut_subcommand("run", with_env)
        .mut_subcommand("run-local", with_env)
        .mut_subcommand("check", with_env)
        .mut_subcommand("doctor", with_env)
        .mut_subcommand("schema", with_env)
}

async fn carry_out<P: Program>(command: Command<P::Config>) -> Result<ExitCode> {
    match command {
        Command::Run(options) => run::<P>(options).await?,
        Command::RunLocal(options) => return local::run::<P>(options).await,
        Command::Check(options) => {
            let mut config = provisioned::described::<P>(&options, provisioned::FOR_A_LOOK).await?;
            P::check(&config, options.path())?;
            print(match P::common(&mut config).is_provisioned() {
                true => {
                    "the configuration is good, with what the user data say; the secret of this worker was left alone"
                }
                false => "the configuration is good",
            });
        }
        Command::Doctor(options) => return doctor::run::<P>(options).await,
        Command::Schema(options) => {
            let config = options.load()?;
            print(&serde_json::to_string_pretty(&P::schema(&config)?)?);
        }
        Command::NewEd25519Keypair { file } => {
            let key = SigningKey::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
            print(&key.public_key());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run<P: Program>(options: ConfigOptions<P::Config>) -> Result<()> {
    close_to_others();
    let (mut config, beginning) = provisioned::begin::<P>(&options).await?;
    let watch = P::common(&mut config).watch()?;
    P::common(&mut config).make_work_dir(P::NAME);
    let mut builder = P::worker(config).await?;
    if let Some(beginning) = &beginning {
        builder = builder.overseer(beginning.oversight()?);
    }
    let worker = builder.build()?;
    if let Some(beginning) = beginning {
        beginning.end().await?;
    }
    let shutdown = Shutdown::by_signals().context("cannot listen for signals")?;
    let heeding = async {
        if let Some(watch) = watch {
            watch.run(shutdown.clone()).await;
        }
        std::future::pending::<Infallible>().await
    };
    let done = tokio::select! {
        done = worker.run(shutdown.clone()) => done?,
        never = heeding => match never {},
    };
    tracing::info!(runs = done.runs, why = ?done.why, "done");
    Ok(())
}

/// Whoever reads may have heard enough.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Keep the environment and the memory of this process, which hold its credentials, from tasks that are the same user.
pub(crate) fn close_to_others() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "processes of the same user can look into this one");
    }
}
