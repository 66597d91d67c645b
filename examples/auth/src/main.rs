//! The auth service as a program of its own.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use service_kit::config::Layers;
use service_kit::service::{self, Service as _};
use service_kit::{shutdown, telemetry};
use taskcluster_auth::config::{Config, VARIABLES};
use taskcluster_auth::{AuthService, Options, Settings, migrate};

/// The auth service: clients, roles, and who may do what.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "Example:
  taskcluster-auth serve --database sqlite:auth.db --listen 127.0.0.1:8080 --root-url http://127.0.0.1:8080 --config auth.toml

Every setting of the configuration can also be a variable, such as TC_AUTH_DATABASE.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests until told to stop.
    Serve(Flags),
    /// Bring the database up to date and end.
    Migrate(Flags),
    /// Say whether `serve` would start with this configuration, and show it.
    CheckConfig(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// A TOML file.
    #[arg(long, value_name = "FILE", env = "TC_AUTH_CONFIG")]
    config: Option<PathBuf>,
    /// sqlite:PATH, sqlite::memory: or postgres://USER@HOST/NAME.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where events go: memory: or amqp://USER@HOST/VHOST; a password is best given in `TC_AUTH_BUS`.
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// The address to listen at.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The root URL of the deployment, as callers know it.
    #[arg(long, value_name = "URL", env = "TASKCLUSTER_ROOT_URL")]
    root_url: Option<String>,
}

impl Flags {
    fn load(self) -> anyhow::Result<Config> {
        // The file's own variable is no setting.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let variables = variables.filter(|(name, _)| name != "TC_AUTH_CONFIG");
        let config: Config = Layers::new()
            .optional_file(self.config.as_deref())
            .variables(VARIABLES, variables)
            .optional_flag("database", self.database)
            .optional_flag("bus", self.bus)
            .optional_flag("listen", self.listen)
            .optional_flag("root_url", self.root_url)
            .load()?;
        config.check()?;
        Ok(config)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve(flags) => serve(flags.load()?).await,
        Command::Migrate(flags) => {
            let config = flags.load()?;
            telemetry::init(config.log_format, &config.log);
            migrate(&config.database, config.sealer()?).await?;
            println!("{} is up to date.", config.database);
            Ok(())
        }
        Command::CheckConfig(flags) => {
            let config = flags.load()?;
            print!("{}", service_kit::config::shown(&config));
            Ok(())
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init(config.log_format, &config.log);
    let sealer = config.sealer().context("access tokens could not be sealed")?;
    if config.static_clients.is_empty() {
        tracing::warn!(
            "the configuration has no static clients: nobody can do anything until there is static/taskcluster/root"
        );
    }
    let options = Options::new(config.root_url.clone(), config.database, sealer, config.bus.open()?)
        .with_static_clients(config.static_clients)
        .with_settings(Settings { websocktunnel_secret: config.websocktunnel_secret });
    let auth = AuthService::open(options).await?;
    let listener = service::listen(&config.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, root_url = config.root_url, "auth answers");
    let ended = service::run(listener, auth.router(), auth.background(), shutdown::on_signal()?).await;
    auth.close().await;
    Ok(ended?)
}
