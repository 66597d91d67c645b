//! The stand-alone Docker worker.

use std::process::ExitCode;

use taskcluster_docker_worker::config::DockerProgram;

#[tokio::main]
async fn main() -> ExitCode {
    worker_kit::main::<DockerProgram>().await
}
