//! The binary `taskcluster`: run a repository's tasks, serve a deployment.

use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod commit_server;
mod exit;
mod group;
#[cfg(test)]
mod fixture;
mod in_tree;
mod progress;
mod push_event;
mod repository;
mod results;
mod state_dir;
mod view;

use args::{Cli, Command};
use exit::{Outcome, one_line};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome: anyhow::Result<Outcome> = match cli.command {
        Command::Run(_) | Command::Up(_) => Ok(Outcome::Green),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            Outcome::CouldNotBegin.into()
        }
    }
}
