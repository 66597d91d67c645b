//! The queue as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use service_kit::config::{self, Layers};
use service_kit::service::{self, Service as _};
use service_kit::{shutdown, telemetry};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use taskcluster_queue::config::{Config, VARIABLES};
use taskcluster_queue::{Options, QueueService};
use taskcluster_server::authenticator::Remote;

/// The queue service of a TaskCluster deployment.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  TC_QUEUE_ACCESS_TOKEN=… taskcluster-queue serve --root-url https://tc.example \\\n    --database sqlite:/var/lib/taskcluster/queue.db --client-id static/taskcluster/queue"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers requests until it is asked to end.
    Serve(Flags),
    /// Brings the database up to date.
    Migrate(Flags),
    /// Says whether the configuration will do, and shows it.
    CheckConfig(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where tasks are kept: sqlite:PATH, sqlite::memory: or postgres://…
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where events go: memory: or amqp://USER@HOST/VHOST; a password is best given in `TC_QUEUE_BUS`.
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// The address to listen at.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The root URL of the deployment.
    #[arg(long, value_name = "URL")]
    root_url: Option<String>,
    /// The queue's own client; its access token is best given as `TC_QUEUE_ACCESS_TOKEN`.
    #[arg(long, value_name = "CLIENT")]
    client_id: Option<String>,
    /// Where the bytes of artifacts are kept: a folder, or s3://bucket
    #[arg(long, value_name = "URL")]
    blobs: Option<String>,
}

impl Flags {
    fn load(self) -> Result<Config> {
        let layers = Layers::new()
            .optional_file(self.config.as_deref())
            .environment(VARIABLES)
            .optional_flag("database", self.database)
            .optional_flag("bus", self.bus)
            .optional_flag("listen", self.listen)
            .optional_flag("root_url", self.root_url)
            .optional_flag("client_id", self.client_id)
            .optional_flag("blobs", self.blobs);
        Ok(layers.load()?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(flags) => serve(flags.load()?).await,
        Command::Migrate(flags) => {
            let config = flags.load()?;
            telemetry::init(config.log_format, &config.log);
            taskcluster_queue::migrate(&config.database).await?;
            println!("{} is up to date", config.database);
            Ok(())
        }
        Command::CheckConfig(flags) => {
            let config = flags.load()?;
            config.check()?;
            print!("{}", config::shown(&config));
            Ok(())
        }
    }
}

async fn serve(config: Config) -> Result<()> {
    config.check()?;
    telemetry::init(config.log_format, &config.log);
    let clock = SystemClock::shared();
    // Without a secret of the operator's the URLs hold as long as the process.
    let secret = match &config.blobs_secret {
        Some(secret) => secret.expose().to_owned(),
        None => format!("{}{}", TaskId::new(), TaskId::new()),
    };
    let blobs = config.blobs.open(config.blobs_base()?, secret.as_bytes(), Arc::clone(&clock))?;
    let authenticator = Remote::new(Caller::builder(&config.root_url).build()?);
    let options = Options::new(
        config.root_url.as_str(),
        config.database.clone(),
        blobs.buckets,
        config.bus.open()?,
        Arc::new(authenticator),
        config.credentials(),
    );
    let shutdown = shutdown::on_signal()?;
    let options = options.with_settings(config.settings()).with_clock(clock).with_shutdown(shutdown.clone());
    let queue = QueueService::open(options).await?;
    let listener = service::listen(&config.listen).await?;
    tracing::info!(address = %listener.local_addr()?, root_url = config.root_url, "the queue answers");
    let router = queue.router().merge(blobs.router.unwrap_or_default());
    let store = queue.store().clone();
    service::run(listener, router, queue.background(), shutdown).await?;
    store.close().await;
    Ok(())
}
