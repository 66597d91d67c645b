//! A command per service and method, as clap sees them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, ValueHint, value_parser};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::from_now;
use taskcluster_core::{Method as Verb, Timestamp};

use super::{Kind, Method, Parameter, SERVICES, Service, facts};

/// Names of the options that do not come from the references. With dashes no parameter can be called like one of them.
pub(super) const BODY: &str = "--body";
pub(super) const NO_CHECK: &str = "--no-check";
pub(super) const ALL: &str = "--all";
pub(super) const SIGNED_URL: &str = "--signed-url";
pub(super) const DRY_RUN: &str = "--dry-run";
pub(super) const COMPACT: &str = "--compact";
pub(super) const OUTPUT: &str = "--output";

/// The command `api` with its services.
pub(super) fn with_services(command: Command) -> Command {
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("SERVICE")
        .subcommand_help_heading("Services")
        // At the service it may stand already, as in the official client.
        .arg(output().global(true).display_order(980))
        .subcommands(SERVICES.iter().map(of_service))
}

fn of_service(service: &'static Service) -> Command {
    // Its methods are put in when somebody wants them: whoever types another command does not wait for them.
    Command::new(service.name)
        .aliases(service.alias)
        .about(first_sentence(service.description))
        .long_about(service.description)
        .defer(with_methods)
}

fn with_methods(command: Command) -> Command {
    let service = super::service(command.get_name()).expect("commands are made of the table");
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("METHOD")
        .subcommand_help_heading("Methods")
        .subcommands(service.methods.iter().map(of_method))
}

/// The command of a method.
fn of_method(method: &'static Method) -> Command {
    let operation = method.operation;
    let is_get = operation.method == Verb::Get;
    let options = [
        operation.input.map(|_| body()),
        operation.input.map(|_| no_check()),
        method.items.map(|_| if is_get { all().conflicts_with(SIGNED_URL) } else { all() }),
        is_get.then(signed_url),
        Some(dry_run()),
        Some(compact()),
    ];
    Command::new(operation.name)
        .aliases(method.alias)
        .about(method.title)
        .long_about(format!("{}\n\n{}", method.title, method.description))
        .after_help(facts::of(operation))
        .args(method.arguments.iter().enumerate().map(|(index, argument)| positional(index, argument)))
        .args(options.into_iter().flatten())
        .next_help_heading("Query parameters")
        .args(method.query.iter().map(flag))
}

fn positional(index: usize, argument: &'static Parameter) -> Arg {
    let value = Arg::new(argument.name).index(index + 1).required(true).value_parser(parser(argument.kind));
    match argument.kind {
        Kind::TaskId => value.help("The id of a task or a task group"),
        _ => value,
    }
}

fn flag(parameter: &'static Parameter) -> Arg {
    let (value_name, help) = match parameter.kind {
        Kind::Number if parameter.name == "limit" => ("NUMBER", "At most so many items of a page"),
        Kind::Number => ("NUMBER", ""),
        Kind::Flag => ("BOOL", ""),
        Kind::TaskId => ("ID", ""),
        Kind::Text if parameter.name == "continuationToken" => ("TOKEN", "Begins at the page of this token"),
        Kind::Text => ("TEXT", ""),
    };
    Arg::new(parameter.name)
        .long(parameter.name)
        .aliases(parameter.alias)
        .value_name(value_name)
        .help(help)
        .value_parser(parser(parameter.kind))
}

/// Values stay the texts that they are sent as.
fn parser(kind: Kind) -> ValueParser {
    match kind {
        Kind::Text => value_parser!(String),
        Kind::Flag => PossibleValuesParser::new(["true", "false"]).into(),
        Kind::Number => ValueParser::new(|text: &str| match text.parse::<u64>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("it is a whole number"),
        }),
        Kind::TaskId => {
            ValueParser::new(|text: &str| text.parse::<TaskId>().map(|id| id.to_string()).map_err(|e| e.to_string()))
        }
    }
}

fn body() -> Arg {
    Arg::new(BODY)
        .long("body")
        .value_name("FILE|-|JSON")
        .help("The body, JSON or YAML: a file, - for standard input, or JSON itself [default: standard input]")
        .value_hint(ValueHint::FilePath)
        .allow_hyphen_values(true)
}

fn no_check() -> Arg {
    set(NO_CHECK, "no-check", "Send the body even if it does not fit the schema that this program knows")
}

fn all() -> Arg {
    set(ALL, "all", "Follow the continuation tokens, and print the items of all pages, one after the other")
        .conflicts_with(DRY_RUN)
}

fn signed_url() -> Arg {
    Arg::new(SIGNED_URL)
        .long("signed-url")
        .value_name("DURATION")
        .help("Print a URL that lets whoever has it make this call, for 15 minutes or as long as you say")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("15 minutes")
        .value_parser(duration)
        .conflicts_with(DRY_RUN)
}

fn dry_run() -> Arg {
    set(DRY_RUN, "dry-run", "Print what would be called and the scopes that it needs, and call nobody")
        .visible_alias("needs")
}

fn compact() -> Arg {
    set(COMPACT, "compact", "Print JSON on one line, as it is where no terminal reads it")
}

fn output() -> Arg {
    Arg::new(OUTPUT)
        .long("output")
        .short('o')
        .value_name("FILE")
        .help("Write the answer into this file")
        .value_hint(ValueHint::FilePath)
        .value_parser(value_parser!(PathBuf))
}

fn set(id: &'static str, long: &'static str, help: &'static str) -> Arg {
    Arg::new(id).long(long).help(help).action(ArgAction::SetTrue)
}

fn duration(text: &str) -> Result<Duration, String> {
    let start = Timestamp::UNIX_EPOCH;
    let duration = from_now(text, start).map_err(|error| error.to_string())?.since(start);
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

/// The first sentence of a description, on one line, with links as the words that they stand on.
fn first_sentence(description: &str) -> String {
    let paragraph: Vec<&str> = description.lines().take_while(|line| !line.trim().is_empty()).collect();
    let paragraph = paragraph.join(" ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first).trim_end_matches('.');
    let mut plain = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, words, after)) = link(rest) {
        plain.extend([before, words]);
        rest = after;
    }
    plain + rest
}

/// What stands before a link, its words, and what comes after it.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let (words, rest) = rest.split_once("](")?;
    let (_, after) = rest.split_once(')')?;
    Some((before, words, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap itself looks whether names collide and the like.
    #[test]
    fn every_command_is_sound() {
        for service in SERVICES {
            of_service(service).debug_assert();
        }
    }

    #[test]
    fn sentences_and_durations() {
        assert_eq!(
            first_sentence("Keeps tasks, and\nhands them out. More.\n\nOther."),
            "Keeps tasks, and hands them out"
        );
        assert_eq!(first_sentence("Is [a (b)](https://x/y), and [c](d). More."), "Is a (b), and c");
        assert_eq!(duration("2 hours"), Ok(Duration::from_secs(7200)));
        assert!(duration("soon").is_err() && duration("-1 hour").is_err());
    }
}
