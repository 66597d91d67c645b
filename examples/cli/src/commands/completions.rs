//! `taskcluster completions`: for a shell.

use anyhow::Result;
use clap::CommandFactory as _;

use super::talk::finish;
use crate::args::{Cli, CompletionsArgs};
use crate::exit::Outcome;
use crate::output::Output;

/// Prints the script, or writes it into a file.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "taskcluster", &mut script);
    let mut output = Output::open(args.filename.as_deref(), true)?;
    finish(output.bytes(&script))
}
