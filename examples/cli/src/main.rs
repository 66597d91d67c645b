//! The binary `taskcluster`: run a repository's tasks, serve a deployment, or speak to one.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use service_kit::telemetry::{self, LogFormat};

mod api;
mod args;
mod assemble;
mod commands;
mod commit_server;
mod disk;
mod docker_workers;
mod exit;
mod first_run;
#[cfg(test)]
mod fixture;
mod go_template;
mod group;
mod home;
mod json_text;
mod open_groups;
mod output;
mod payload_schemas;
mod progress;
mod providers;
mod push_event;
mod refusal;
mod repository;
mod results;
mod state_dir;
mod view;

use args::{Cli, Command, Telling};
use exit::{Outcome, one_line};

/// What `--verbose` shows: each call, and what goes on besides.
const VERBOSE: &str = "info,taskcluster=debug,taskcluster_core=debug";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // One line as everywhere: how the command is used in general is no help with a value.
        Err(error) if error.kind() == ErrorKind::ValueValidation => {
            eprintln!("{}", error.to_string().lines().next().unwrap_or_default());
            return Outcome::CouldNotBegin.into();
        }
        Err(error) => error.exit(),
    };
    if cli.verbose {
        // The first one stays, whatever the command would say.
        telemetry::init(LogFormat::Text, VERBOSE);
    }
    let outcome = match cli.command {
        Command::Run(args) => commands::run(&args),
        Command::Up(args) => commands::up(&args),
        Command::NativeWorker { arguments } => return commands::native_worker(arguments),
        Command::Api(invocation) => commands::api(&invocation),
        Command::Task(telling) => commands::task(telling.command, telling.told.json),
        Command::Group(Telling { command, told }) => commands::group(command, told.json),
        Command::Graph(Telling { command, told }) => commands::graph(command, told.json),
        Command::Provision(Telling { command, told }) => commands::provision(command, told.json),
        Command::Artifact(telling) => commands::artifact(telling.command, telling.told.json),
        Command::Shell(args) => commands::shell(&args),
        Command::Signin(args) => commands::signin(&args),
        Command::Action(Telling { command, told }) => commands::action(command, told.json),
        Command::Download(Telling { command, told }) => commands::download(command, told.json),
        Command::FromNow(args) => commands::from_now(&args),
        Command::Slugid { command, told } => commands::slugid(command, told.json),
        Command::Completions(args) => commands::completions(&args),
        Command::Config(args) => commands::config(&args),
        Command::Version { short_version } => commands::version(short_version),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            Outcome::CouldNotBegin.into()
        }
    }
}
