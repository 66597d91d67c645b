//! The purge-cache service as a program of its own.

use std::process::ExitCode;

use anyhow::Result;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster_purge_cache::config::Config;
use taskcluster_purge_cache::store::SCHEMA;
use taskcluster_purge_cache::{Options, PurgeCacheService};

struct PurgeCache;

impl Program for PurgeCache {
    type Own = Config;
    const NAME: &'static str = "taskcluster-purge-cache";
    const ABOUT: &'static str = "The purge-cache service of a TaskCluster deployment";
    const EXAMPLE: &'static str = "taskcluster-purge-cache serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/purge-cache.db";
    const FLAGS: &'static [Flag] = &[Flag::DATABASE];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let authenticator = frame.remote_authenticator()?;
        let service = PurgeCacheService::open(Options::new(frame, settings.own.database, authenticator)).await?;
        let store = service.store().clone();
        Ok(Opened::of(&service).closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<PurgeCache>().await
}
