//! `taskcluster native-worker`: the worker's own program.

use std::ffi::OsString;
use std::process::ExitCode;

use taskcluster_native_worker::config::NativeProgram;

use super::runtime;
use crate::exit::Outcome;

/// Does what the worker's program does with these arguments.
pub(crate) fn native_worker(arguments: Vec<OsString>) -> ExitCode {
    match runtime() {
        Ok(runtime) => runtime.block_on(worker_kit::main_as::<NativeProgram>("taskcluster native-worker", arguments)),
        Err(error) => {
            eprintln!("error: {error:#}");
            Outcome::CouldNotBegin.into()
        }
    }
}
