//! The Buildbot bridge.

use std::process::ExitCode;

use taskcluster_buildbot_bridge::BridgeProgram;

#[tokio::main]
async fn main() -> ExitCode {
    worker_kit::main::<BridgeProgram>().await
}
