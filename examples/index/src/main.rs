//! The index as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use service_kit::bus::BusUrl;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster::queue::Queue;
use taskcluster_core::caller::Caller;
use taskcluster_index::config::Config;
use taskcluster_index::store::SCHEMA;
use taskcluster_index::{IndexService, Options};

struct Index;

impl Program for Index {
    type Own = Config;
    const NAME: &'static str = "taskcluster-index";
    const ABOUT: &'static str = "The index service of a TaskCluster deployment";
    const EXAMPLE: &'static str = "TC_INDEX_ACCESS_TOKEN=… taskcluster-index serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/index.db --client-id static/taskcluster/index";
    const FLAGS: &'static [Flag] = &[Flag::DATABASE, Flag::CLIENT_ID];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        if settings.common.bus == BusUrl::Memory {
            tracing::warn!("the bus is memory: nothing gets into the index unless somebody inserts it");
        }
        let bus = settings.common.bus.open_queue(&config.bus_queue)?;
        let caller = Caller::builder(&frame.root_url).credentials(config.credentials()).clock(Arc::clone(&frame.clock));
        let (authenticator, queue) = (frame.remote_authenticator()?, Queue::new(caller.build()?));
        let options = Options::new(frame, config.database, authenticator, queue).hearing(bus);
        let index = IndexService::open(options).await?;
        let store = index.store().clone();
        Ok(Opened::of(&index).closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Index>().await
}
