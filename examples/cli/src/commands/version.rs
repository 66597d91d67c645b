//! `taskcluster version`.

use anyhow::Result;

use super::talk::finish;
use crate::exit::Outcome;
use crate::output::Output;

/// Prints it, alone or after the name of the program.
pub(crate) fn version(alone: bool) -> Result<Outcome> {
    let version = env!("CARGO_PKG_VERSION");
    let line = if alone { version.to_owned() } else { format!("taskcluster version {version}") };
    finish(Output::stdout(true).line(&line))
}
