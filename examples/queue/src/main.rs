//! The queue as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster_core::caller::Caller;
use taskcluster_queue::config::Config;
use taskcluster_queue::store::SCHEMA;
use taskcluster_queue::{Options, QueueService};

struct Queue;

impl Program for Queue {
    type Own = Config;
    const NAME: &'static str = "taskcluster-queue";
    const ABOUT: &'static str = "The queue service of a TaskCluster deployment";
    const EXAMPLE: &'static str = "TC_QUEUE_ACCESS_TOKEN=… taskcluster-queue serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/queue.db --client-id static/taskcluster/queue";
    const FLAGS: &'static [Flag] = &[
        Flag::DATABASE,
        Flag::CLIENT_ID,
        Flag::new("blobs", "URL", "Where the bytes of artifacts are kept: a folder, or s3://bucket"),
    ];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let base = config.blobs_base(&frame.root_url)?;
        let blobs = config.blobs.open(base, config.blobs_secret.as_ref(), Arc::clone(&frame.clock))?;
        let (authenticator, database) = (frame.remote_authenticator()?, config.database.clone());
        let objects = Caller::builder(&frame.root_url).credentials(config.credentials()).build()?;
        let mut options = Options::new(frame, database, blobs.buckets, authenticator, config.credentials());
        if config.object_service {
            options = options.with_object_service(objects);
        }
        let queue = QueueService::open(options.with_settings(config.settings())).await?;
        let store = queue.store().clone();
        let opened = Opened::of(&queue).beside(blobs.router.unwrap_or_default());
        Ok(opened.closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Queue>().await
}
