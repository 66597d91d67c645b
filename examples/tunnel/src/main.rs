//! The tunnel server as a program of its own.

use std::process::ExitCode;

use anyhow::Result;
use service_kit::frame::Frame;
use service_kit::program::{self, Flag, Opened, Program};
use service_kit::settings::Settings;
use taskcluster_tunnel::TunnelService;
use taskcluster_tunnel::config::Config;

struct Tunnel;

impl Program for Tunnel {
    type Own = Config;
    const NAME: &'static str = "taskcluster-tunnel";
    const ABOUT: &'static str = "Lets viewers in to workers that cannot be reached";
    const EXAMPLE: &'static str = "TC_TUNNEL_SECRET=… taskcluster-tunnel serve --listen 127.0.0.1:8087 \\
    --public-url https://tunnel.example";
    const FLAGS: &'static [Flag] =
        &[Flag::new("public-url", "URL", "Where clients and viewers find it [default: http:// and the address]")];

    async fn open(settings: Settings<Config>, frame: Frame) -> Result<Opened> {
        let service = TunnelService::new(settings.own.options(&settings.common, &frame)?);
        Ok(Opened::new(service.router(""), service.background()))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run::<Tunnel>().await
}
