//! The events service as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use service_kit::config::{self, Layers};
use service_kit::service::{self, Service as _};
use service_kit::{shutdown, telemetry};
use taskcluster_core::caller::Caller;
use taskcluster_events::config::{Config, VARIABLES};
use taskcluster_events::{EventsService, Options};
use taskcluster_server::authenticator::Remote;

/// The events service of a TaskCluster deployment.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  taskcluster-events serve --root-url https://tc.example --listen 127.0.0.1:8083"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers requests until it is asked to end.
    Serve(Flags),
    /// Says whether the configuration will do, and shows it.
    CheckConfig(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen at.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The root URL of the deployment.
    #[arg(long, value_name = "URL")]
    root_url: Option<String>,
    /// Where the services publish: `amqp://USER:PASSWORD@HOST/VHOST` in a build with that feature.
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
}

impl Flags {
    fn load(self) -> Result<Config> {
        let layers = Layers::new()
            .optional_file(self.config.as_deref())
            .environment(VARIABLES)
            .optional_flag("listen", self.listen)
            .optional_flag("root_url", self.root_url)
            .optional_flag("bus", self.bus);
        let config: Config = layers.load()?;
        config.check()?;
        Ok(config)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(flags) => serve(flags).await,
        Command::CheckConfig(flags) => flags.load().map(|config| print!("{}", config::shown(&config))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> Result<()> {
    let config = flags.load()?;
    telemetry::init(config.log_format, &config.log);
    let shutdown = shutdown::on_signal()?;
    let authenticator = Remote::new(Caller::builder(&config.root_url).build()?);
    let mut options = Options::new(config.root_url.as_str(), config.bus.open()?, Arc::new(authenticator))
        .with_settings(config.settings())
        .with_shutdown(shutdown.clone());
    if let Some(exchanges) = &config.exchanges {
        options = options.with_exchanges(exchanges);
    }
    let events = EventsService::open(options).await.context("cannot begin")?;
    let listener = service::listen(&config.listen).await?;
    tracing::info!(address = %listener.local_addr()?, root_url = config.root_url, "events can be listened to");
    service::run(listener, events.router(), events.background(), shutdown).await?;
    Ok(())
}
