//! The scheduler as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program, State};
use service_kit::settings::Settings;
use taskcluster_core::caller::Caller;
use taskcluster_scheduler::config::Config;
use taskcluster_scheduler::store::SCHEMA;
use taskcluster_scheduler::{Options, SchedulerService};

struct Scheduler;

impl Program for Scheduler {
    type Own = Config;
    const NAME: &'static str = "taskcluster-scheduler";
    const ABOUT: &'static str = "The scheduler of a TaskCluster deployment";
    const EXAMPLE: &'static str = "TC_SCHEDULER_ACCESS_TOKEN=… taskcluster-scheduler serve --root-url https://tc.example \\
    --database sqlite:/var/lib/taskcluster/scheduler.db --client-id static/taskcluster/scheduler";
    const FLAGS: &'static [Flag] = &[Flag::DATABASE, Flag::CLIENT_ID];
    const STATE: Option<State<Config>> = Some(State { schema: &SCHEMA, database: |config| &config.database });

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let bus = settings.common.bus.open_queue(&config.bus_queue)?;
        let caller = Caller::builder(&frame.root_url).credentials(config.credentials()).clock(Arc::clone(&frame.clock));
        let (authenticator, caller) = (frame.remote_authenticator()?, caller.build()?);
        let options = Options::new(frame, config.database, authenticator, caller);
        let options = options.hearing(bus).with_scheduler_id(config.scheduler_id);
        let scheduler = SchedulerService::open(options).await?;
        let store = scheduler.store().clone();
        Ok(Opened::of(&scheduler).closing(async move { store.close().await }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Scheduler>().await
}
