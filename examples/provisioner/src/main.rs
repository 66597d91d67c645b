//! The provisioner as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
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
    const FLAGS: &'static [Flag] = &[Flag::DATABASE, Flag::CLIENT_ID];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let (credentials, providers) = (config.credentials(), config.providers(&frame.root_url, &frame.clock)?);
        let caller = Caller::builder(&frame.root_url).credentials(credentials.clone()).clock(Arc::clone(&frame.clock));
        let (authenticator, caller) = (frame.remote_authenticator()?, caller.build()?);
        let (database, id) = (config.database, config.provisioner_id);
        let options = Options::new(frame, database, authenticator, caller, credentials, id).with_providers(providers);
        let provisioner = ProvisionerService::open(options).await?;
        let store = provisioner.store().clone();
        Ok(Opened::of(&provisioner).closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Provisioner>().await
}
