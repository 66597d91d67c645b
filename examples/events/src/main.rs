//! The events service as a program of its own.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program};
use service_kit::settings::Settings;
use taskcluster_events::config::Config;
use taskcluster_events::{EventsService, Options};

struct Events;

impl Program for Events {
    type Own = Config;
    const NAME: &'static str = "taskcluster-events";
    const ABOUT: &'static str = "The events service of a TaskCluster deployment";
    const EXAMPLE: &'static str = "taskcluster-events serve --root-url https://tc.example --listen 127.0.0.1:8083";
    const FLAGS: &'static [Flag] = &[];

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let config = settings.own;
        let authenticator = frame.remote_authenticator()?;
        let mut options = Options::new(frame, authenticator).with_settings(config.settings());
        if let Some(exchanges) = config.exchanges {
            options = options.with_exchanges(exchanges);
        }
        let events = EventsService::open(options).await.context("cannot begin")?;
        Ok(Opened::of(&events))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Events>().await
}
