//! The object service as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster_object::config::Config;
use taskcluster_object::store::SCHEMA;
use taskcluster_object::{ObjectService, Options};

struct Object;

impl Program for Object {
    type Own = Config;
    const NAME: &'static str = "taskcluster-object";
    const ABOUT: &'static str = "The object service of a TaskCluster deployment";
    const EXAMPLE: &'static str = "taskcluster-object serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/object.db --blobs /var/lib/taskcluster/objects";
    const FLAGS: &'static [Flag] =
        &[Flag::DATABASE, Flag::new("blobs", "URL", "Where the data of objects is kept: a folder, or s3://bucket")];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let base = config.blobs_base(&frame.root_url)?;
        let blobs = config.blobs.open(base, config.blobs_secret.as_ref(), Arc::clone(&frame.clock))?;
        let authenticator = frame.remote_authenticator()?;
        let object = ObjectService::open(Options::new(frame, config.database, blobs.buckets, authenticator)).await?;
        let store = object.store().clone();
        let opened = Opened::of(&object).beside(blobs.router.unwrap_or_default());
        Ok(opened.closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Object>().await
}
