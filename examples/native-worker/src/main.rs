//! The stand-alone native worker.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use taskcluster_native_worker::config::Config;
use taskcluster_native_worker::{NativeWorker, Shutdown};

/// Takes tasks from a TaskCluster deployment and runs their commands on this machine.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  native-worker run --config /etc/native-worker.toml")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Claim and run tasks. SIGTERM gives running tasks back to the queue; SIGINT lets them end first, once more gives them back.
    Run(ConfigOptions),
    /// Say whether the configuration makes a worker.
    Check(ConfigOptions),
    /// Print the JSON schema of the payloads that it takes.
    Schema,
}

#[derive(Debug, clap::Args)]
struct ConfigOptions {
    /// A TOML file with the options below as keys, such as `task_queue_id`.
    #[arg(long, env = "NATIVE_WORKER_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Config,
}

impl ConfigOptions {
    fn load(self) -> Result<Config> {
        match self.config {
            Some(path) => self.options.over_file(&path),
            None => Ok(self.options),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    match carry_out(Options::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Result<()> {
    match command {
        Command::Run(options) => run(options.load()?).await,
        Command::Check(options) => {
            options.load()?.into_builder()?;
            print("the configuration is good");
            Ok(())
        }
        Command::Schema => {
            print(&serde_json::to_string_pretty(&NativeWorker::payload_schema())?);
            Ok(())
        }
    }
}

/// Whoever reads may have heard enough.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Keep the environment and the memory of this process, which hold its credentials, from tasks that are the same user.
fn close_to_others() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "processes of the same user can look into this one");
    }
}

async fn run(config: Config) -> Result<()> {
    close_to_others();
    let worker = config.into_builder()?.build().await?;
    let shutdown = Shutdown::by_signals().context("cannot listen for signals")?;
    let done = worker.run(shutdown).await?;
    tracing::info!(runs = done.runs, why = ?done.why, "done");
    Ok(())
}
