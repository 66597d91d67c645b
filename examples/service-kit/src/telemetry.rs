//! Logs: readable ones for people, JSON for machines.

use std::io::Write;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is no log format; use text or json")),
        }
    }
}

/// Sends the process's log to standard error. For `main`; if there is a logger already, that one stays.
///
/// `filter` is `info`, `debug` or anything that [`EnvFilter`] understands, such as `info,taskcluster_queue=debug`. The
/// variable `RUST_LOG` overrides it. The client of RabbitMQ is heard only if it is named, as in `lapin=debug`: it calls an error
/// what is expected here, and what matters is told by us.
pub fn init(format: LogFormat, filter: &str) {
    init_on(format, filter, || Box::new(std::io::stderr()));
}

/// Sends it where `writer` says, who is asked for each line anew; else as [`init`].
pub fn init_on(format: LogFormat, filter: &str, writer: impl Fn() -> Box<dyn Write> + Send + Sync + 'static) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("lapin=off,{filter}")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let _ = match format {
        LogFormat::Text => {
            use std::io::IsTerminal as _;
            builder.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
