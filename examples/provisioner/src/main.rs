//! The provisioner as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster_core::caller::Caller;
use taskcluster_provisioner::config::Config;
use taskcluster_provisioner::store::SCHEMA;
use taskcluster_provisioner::{Options, ProvisionerService};

struct Provisioner;

impl Program for Provisioner {
    type Own = Config;
    const NAME: &'static str = "taskcluster-provisioner";
    const ABOUT: &'static str = "The provisioner of a TaskCluster deployment";
    const EXAMPLE: &'static str = "TC_PROVISIONER_ACCESS_TOKEN=… taskcluster-provisioner serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/provisioner.db --client-id static/taskcluster/provisioner \\
    --config /etc/taskcluster/provisioner.toml";
    const FLAGS: &'static [Flag] = &[
        Flag::DATABASE,
        Flag::CLIENT_ID,
        Flag::new("provisioner-id", "ID", "Its identifier, the first half of the names of its task queues"),
        Flag::new("public-url", "URL", "Where it is found, if that is not the root URL"),
    ];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let (credentials, providers) = (config.credentials(), config.providers(&frame.root_url, &frame.clock)?);
        let caller = Caller::builder(&frame.root_url).credentials(credentials.clone()).clock(Arc::clone(&frame.clock));
        let (authenticator, caller) = (frame.remote_authenticator()?, caller.build()?);
        let sealer = config.sealer().context("worker types could not be sealed")?;
        let (database, id, public_url) = (config.database, config.provisioner_id, config.public_url);
        let options = Options::new(frame, database, authenticator, caller, credentials, id)
            .with_sealer(sealer)
            .with_providers(providers)
            .with_public_url(public_url);
        let provisioner = ProvisionerService::open(options).await?;
        let store = provisioner.store().clone();
        Ok(Opened::of(&provisioner).closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Provisioner>().await
}
