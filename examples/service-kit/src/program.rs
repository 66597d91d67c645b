//! A service as a program of its own: `serve`, `migrate`, `check-config`, and the settings in all their layers.
//!
//! A service's `main` says what is its own, as an implementation of [`Program`], and [`run`]s that.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use axum::Router;
use clap::{Arg, ArgMatches, Command, value_parser};
use futures_util::future::BoxFuture;

use crate::config::{self, Layers};
use crate::frame::Frame;
use crate::service::{self, Background, Service};
use crate::settings::{Own, Settings};
use crate::store::{AnyStore, Database, Schema};
use crate::{shutdown, telemetry};

mod flag;

pub use flag::Flag;

/// What one service's program has of its own.
pub trait Program {
    /// Its settings.
    type Own: Own;

    /// What it is called, such as `taskcluster-queue`.
    const NAME: &'static str;

    /// One line that says what it is.
    const ABOUT: &'static str;

    /// A command line to begin with.
    const EXAMPLE: &'static str;

    /// The settings that are flags as well, beside those of every program.
    const FLAGS: &'static [Flag];

    /// The state that it keeps, if any.
    const STATE: Option<State<Self::Own>> = None;

    /// Opens the service.
    ///
    /// # Errors
    /// When it cannot start.
    fn open(settings: Settings<Self::Own>, frame: Frame) -> impl Future<Output = Result<Opened>> + Send;
}

/// What a program keeps, and where: `migrate` brings that up to date.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "for constants")]
pub struct State<T> {
    /// What it consists of.
    pub schema: &'static Schema,
    /// The setting that says where it is.
    pub database: fn(&T) -> &Database,
}

/// A service that only has to be run.
pub struct Opened {
    router: Router,
    background: Vec<Background>,
    close: BoxFuture<'static, ()>,
}

impl Opened {
    /// What answers, and what it does by itself, for what has no API of TaskCluster's.
    pub fn new(router: Router, background: Vec<Background>) -> Self {
        Self { router, background, close: Box::pin(async {}) }
    }

    /// All of this service.
    pub fn of(service: &impl Service) -> Self {
        Self { router: service.router(), background: service.background(), close: Box::pin(async {}) }
    }

    /// Answers this as well.
    #[must_use]
    pub fn beside(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Does this when nothing is served any more.
    #[must_use]
    pub fn closing(mut self, close: impl Future<Output = ()> + Send + 'static) -> Self {
        self.close = Box::pin(close);
        self
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("background", &self.background).finish_non_exhaustive()
    }
}

/// Does what the command line says. For `main`.
pub async fn run<P: Program>() -> ExitCode {
    let matches = command::<P>().get_matches();
    let (verb, flags) = matches.subcommand().expect("clap asks for one");
    match carry_out::<P>(verb, flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const SERVE: &str = "serve";
const MIGRATE: &str = "migrate";
const CHECK_CONFIG: &str = "check-config";

fn command<P: Program>() -> Command {
    let verb = |name, about| Flag::all(P::FLAGS).fold(Command::new(name).about(about).arg(file::<P>()), Command::arg);
    let migrate = P::STATE.map(|_| verb(MIGRATE, "Brings the database up to date"));
    Command::new(P::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(P::ABOUT)
        .after_help(format!(
            "Example:\n  {}\n\nEvery setting of the configuration can also be a variable, such as {}_LISTEN.",
            P::EXAMPLE,
            P::Own::VARIABLES
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb(SERVE, "Answers requests until it is asked to end"))
        .subcommands(migrate)
        .subcommand(verb(CHECK_CONFIG, "Says whether the configuration will do, and shows it"))
}

/// The variable that names the file, and is no setting itself.
fn file_variable<P: Program>() -> String {
    format!("{}_CONFIG", P::Own::VARIABLES)
}

fn file<P: Program>() -> Arg {
    let help = format!("A TOML file with settings. [env: {}]", file_variable::<P>());
    Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

fn load<P: Program>(matches: &ArgMatches) -> Result<Settings<P::Own>> {
    let name = file_variable::<P>();
    let variable = std::env::var_os(&name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = matches.get_one("config").cloned().or(variable);
    let known = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    let variables = std::env::vars_os().filter_map(known).filter(|(key, _)| *key != name);
    let layers = Layers::new().optional_file(path.as_deref()).variables(P::Own::VARIABLES, variables);
    Ok(Flag::all(P::FLAGS).fold(layers, |layers, flag| flag.onto(layers, matches)).load()?)
}

async fn carry_out<P: Program>(verb: &str, flags: &ArgMatches) -> Result<()> {
    let settings = load::<P>(flags)?;
    if let (MIGRATE, Some(state)) = (verb, P::STATE) {
        telemetry::init(settings.common.log_format, &settings.common.log);
        return migrate((state.database)(&settings.own), state.schema).await;
    }
    settings.check()?;
    if verb == CHECK_CONFIG {
        print!("{}", config::shown(&settings));
        return Ok(());
    }
    serve::<P>(settings).await
}

async fn migrate(database: &Database, schema: &Schema) -> Result<()> {
    AnyStore::open(database, schema).await?.close().await;
    println!("{database} is up to date");
    Ok(())
}

async fn serve<P: Program>(settings: Settings<P::Own>) -> Result<()> {
    let common = settings.common.clone();
    telemetry::init(common.log_format, &common.log);
    let shutdown = shutdown::on_signal()?;
    let frame = Frame::new(&common.root_url, common.bus.open()?).with_shutdown(shutdown.clone());
    let Opened { router, background, close } = P::open(settings, frame).await?;
    let listener = service::listen(&common.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, root_url = common.root_url, "{} answers", P::NAME);
    let ended = service::run(listener, router, background, shutdown).await;
    close.await;
    Ok(ended?)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::settings::Common;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Nothing {}

    impl Own for Nothing {
        // Nobody sets variables of this name.
        const VARIABLES: &'static str = "TC_TEST_OF_PROGRAM";
        const LISTEN: &'static str = "127.0.0.1:9000";
        type Fault = std::convert::Infallible;

        fn check(&self, _: &Common) -> Result<(), Self::Fault> {
            Ok(())
        }
    }

    struct Test;

    impl Program for Test {
        type Own = Nothing;
        const NAME: &'static str = "test";
        const ABOUT: &'static str = "A program";
        const EXAMPLE: &'static str = "test serve";
        const FLAGS: &'static [Flag] = &[Flag::new("root-url", "URL", "Its own way to say it")];

        async fn open(_: Settings<Nothing>, _: Frame) -> Result<Opened> {
            anyhow::bail!("there is nothing to open")
        }
    }

    fn load(args: &[&str]) -> Settings<Nothing> {
        let matches = command::<Test>().get_matches_from(args);
        super::load::<Test>(matches.subcommand().expect("a verb").1).unwrap()
    }

    #[test]
    fn flags_reach_the_settings_and_a_program_without_a_database_has_nothing_to_migrate() {
        command::<Test>().debug_assert();
        let settings = load(&["test", "serve", "--root-url", "https://tc.example", "--bus", "memory:"]);
        assert_eq!(settings.common.root_url, "https://tc.example");
        assert_eq!(settings.common.listen, Nothing::LISTEN);
        assert!(command::<Test>().try_get_matches_from(["test", "migrate"]).is_err());
        assert!(command::<Test>().try_get_matches_from(["test"]).is_err());
    }

    #[test]
    fn a_file_is_named_by_a_flag() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "log = 'debug'\nlisten = '[::1]:1'").unwrap();
        let path = file.path().to_str().unwrap();
        let settings = load(&["test", "check-config", "--config", path, "--listen", "[::1]:2"]);
        assert_eq!((settings.common.log.as_str(), settings.common.listen.as_str()), ("debug", "[::1]:2"));
    }
}
