//! The stand-alone script worker.

use std::process::ExitCode;

use taskcluster_script_worker::ScriptProgram;

#[tokio::main]
async fn main() -> ExitCode {
    worker_kit::main::<ScriptProgram>().await
}
