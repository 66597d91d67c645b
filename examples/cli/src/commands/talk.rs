//! What the commands have in common that speak to a deployment.

use anyhow::{Context as _, Result};
use service_kit::telemetry::{self, LogFormat};
use taskcluster::{Error, Taskcluster};
use tokio::runtime::Builder;

use crate::exit::{Outcome, one_line};
use crate::output::ReaderGone;

/// The deployment of the usual variables.
pub(super) fn deployment() -> Result<Taskcluster> {
    // What goes wrong is an error of its own; RUST_LOG shows what happened on the way.
    telemetry::init(LogFormat::Text, "error");
    Ok(Taskcluster::from_env()?)
}

/// Speaks to it, where that has an outcome of its own.
pub(super) fn talk_of(talking: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    let mut outcome = Outcome::Green;
    let done = talk(async {
        outcome = talking.await?;
        Ok(())
    })?;
    Ok(if done == Outcome::Green { outcome } else { done })
}

/// Speaks to it. That a service refuses, or does not answer, is another end than that it could not be asked.
pub(super) fn talk(talking: impl Future<Output = Result<()>>) -> Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the thread")?;
    finish(runtime.block_on(talking))
}

/// How it ends. A reader that has heard enough, as `head`, is no fault.
pub(super) fn finish(done: Result<()>) -> Result<Outcome> {
    let error = match done {
        Ok(()) => return Ok(Outcome::Green),
        Err(error) if error.is::<ReaderGone>() => return Ok(Outcome::Green),
        Err(error) if error.is::<Stopped>() => return Ok(Outcome::Interrupted),
        Err(error) => error,
    };
    let was_not_asked = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref::<Error>(), Some(Error::Config { .. })) || cause.is::<BadUse>()
    };
    if error.chain().any(was_not_asked) {
        return Err(error);
    }
    eprintln!("error: {}", one_line(&error));
    Ok(Outcome::Refused)
}

/// Something that nobody can be asked.
#[derive(Debug)]
pub(super) struct BadUse(pub(super) String);

impl std::fmt::Display for BadUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadUse {}

/// The user said stop, and nothing is left half done.
#[derive(Debug)]
pub(super) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}
