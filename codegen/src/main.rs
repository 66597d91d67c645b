//! The generator as a program.

mod arguments;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Arguments, Command, HELP};
use taskcluster_codegen::{Error, Generator, Result};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}\nSee taskcluster-codegen --help");
            return ExitCode::from(2);
        }
    };
    if matches!(arguments.command, Command::Check) {
        let faults = generator(&arguments).server("crate").faults();
        for fault in faults.iter().take(MOST_FAULTS) {
            tell(fault, &arguments);
        }
        if faults.len() > MOST_FAULTS {
            eprintln!("error: and {} more", faults.len() - MOST_FAULTS);
        }
        if !faults.is_empty() {
            return ExitCode::FAILURE;
        }
    }
    match run(&arguments) {
        // Whoever reads may have heard enough.
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&error, &arguments);
            ExitCode::FAILURE
        }
    }
}

/// Who named no references and has none here may not know that others can be named.
fn tell(error: &Error, arguments: &Arguments) {
    let nothing_there = matches!(error, Error::Io { path, .. } if *path == arguments.references);
    let hint =
        if nothing_there && !arguments.names_references { "; --references FOLDER names another folder" } else { "" };
    eprintln!("error: {error}{hint}");
}

/// More than anybody reads at once.
const MOST_FAULTS: usize = 20;

fn generator(arguments: &Arguments) -> Generator {
    let generator = Generator::new().references(&arguments.references);
    match &arguments.services {
        Some(services) => generator.services(services.iter().cloned()),
        None => generator,
    }
}

/// What the program prints.
fn run(arguments: &Arguments) -> Result<String> {
    let mut generator = generator(arguments);
    match &arguments.command {
        Command::Help => Ok(HELP.to_owned()),
        Command::Version => Ok(format!("taskcluster-codegen {}\n", env!("CARGO_PKG_VERSION"))),
        Command::List => list(&generator),
        Command::Show => {
            if arguments.server {
                generator = generator.client(false).server("::taskcluster");
            }
            let output = generator.generate_formatted()?;
            let wanted = arguments.services.iter().flatten();
            let files = wanted.flat_map(|service| output.files.iter().filter(move |file| file.service == *service));
            Ok(files.map(|file| file.code.as_str()).collect())
        }
        Command::Check => {
            let fingerprint = generator.fingerprint()?;
            let output = generator.server("crate").generate_formatted()?;
            let count = |of: fn(&taskcluster_codegen::model::Service) -> usize| -> usize {
                output.model.services.iter().map(of).sum()
            };
            Ok(format!(
                "{}, {}, {}, {}: no fault found\nfingerprint: {fingerprint}\n",
                counted(count(|service| usize::from(service.client.is_some())), "service"),
                counted(count(|service| service.operations.len()), "method"),
                counted(count(|service| service.exchanges.len()), "exchange"),
                counted(count(|service| service.types.len()), "type"),
            ))
        }
        Command::Emit { out, sdk } => {
            if arguments.server {
                generator = generator.server("crate");
            }
            generator.write_crate(out, sdk)?;
            Ok(format!("wrote {}\n", out.display()))
        }
        Command::Model => {
            let model = generator.model()?;
            Ok(format!("{:#}\n", serde_json::to_value(&model).unwrap_or_default()))
        }
    }
}

fn list(generator: &Generator) -> Result<String> {
    let model = generator.model()?;
    let services = model.services.iter().filter(|service| service.client.is_some());
    Ok(services
        .map(|service| {
            format!(
                "{} {}: {}, {}, {}\n",
                service.name,
                service.version,
                counted(service.operations.len(), "method"),
                counted(service.exchanges.len(), "exchange"),
                counted(service.types.len(), "type"),
            )
        })
        .collect())
}

/// `1 method`, `2 methods`.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
