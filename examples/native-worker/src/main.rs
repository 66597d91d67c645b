//! The stand-alone native worker.

use std::process::ExitCode;

use taskcluster_native_worker::config::NativeProgram;

#[tokio::main]
async fn main() -> ExitCode {
    worker_kit::main::<NativeProgram>().await
}
