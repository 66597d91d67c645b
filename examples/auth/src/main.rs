//! The auth service as a program of its own.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings;
use taskcluster_auth::config::Config;
use taskcluster_auth::store::SCHEMA;
use taskcluster_auth::{AuthService, Options, Settings};

struct Auth;

impl Program for Auth {
    type Own = Config;
    const NAME: &'static str = "taskcluster-auth";
    const ABOUT: &'static str = "The auth service: clients, roles, and who may do what";
    const EXAMPLE: &'static str = "taskcluster-auth serve --database sqlite:auth.db --listen 127.0.0.1:8080 \\
    --root-url http://127.0.0.1:8080 --config auth.toml";
    const FLAGS: &'static [Flag] = &[Flag::DATABASE, Flag::ROOT_URL.or_variable("TASKCLUSTER_ROOT_URL")];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: settings::Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let sealer = config.sealer().context("access tokens could not be sealed")?;
        if config.static_clients.is_empty() {
            tracing::warn!(
                "the configuration has no static clients: nobody can do anything until there is static/taskcluster/root"
            );
        }
        let options = Options::new(frame, config.database, sealer)
            .with_static_clients(config.static_clients)
            .with_settings(Settings { websocktunnel_secret: config.websocktunnel_secret });
        let auth = AuthService::open(options).await?;
        Ok(Opened::of(&auth).closing(auth.close()))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Auth>().await
}
