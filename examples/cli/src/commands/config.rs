//! `taskcluster config`: what the variables say.
//!
//! The official client keeps these in a file as well. Here the variables are all there is, so that they can be looked at but not set.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::talk::{BadUse, finish};
use crate::args::{ConfigArgs, ConfigFormat};
use crate::exit::Outcome;
use crate::output::Output;

/// Options as the official client calls them, the variables, and whether their values are shown.
const OPTIONS: [(&str, &str, bool); 4] = [
    ("rootUrl", "TASKCLUSTER_ROOT_URL", true),
    ("clientId", "TASKCLUSTER_CLIENT_ID", true),
    ("accessToken", "TASKCLUSTER_ACCESS_TOKEN", false),
    ("certificate", "TASKCLUSTER_CERTIFICATE", false),
];

/// What stands for a secret: terminals and logs remember what they are shown.
const SECRET: &str = "(set)";

/// Prints all options, or the one that is named.
pub(crate) fn config(args: &ConfigArgs) -> Result<Outcome> {
    let all: Map<String, Value> = OPTIONS.iter().map(|option| (option.0.to_owned(), value_of(option))).collect();
    let value = match wanted(&args.words)? {
        None => json!({ "config": all }),
        Some(name) => all.get(name.strip_prefix("config.").unwrap_or(name)).cloned().ok_or_else(|| {
            let known: Vec<&str> = OPTIONS.iter().map(|option| option.0).collect();
            BadUse(format!("there is no option {name:?}, only {}", known.join(", ")))
        })?,
    };
    let mut output = Output::open(args.output.as_deref(), false)?;
    finish(match args.format {
        ConfigFormat::Json => output.json(value.to_string().as_bytes()),
        ConfigFormat::Yaml => output.line(serde_yaml_ng::to_string(&value)?.trim_end()),
    })
}

/// The official client understands an option with and without `get`.
fn wanted(words: &[String]) -> Result<Option<&str>> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        ["get"] => Err(BadUse("the name of the option is missing".to_owned()).into()),
        ["set" | "reset" | "help", ..] => {
            Err(BadUse("options are variables, which only your shell can set".to_owned()).into())
        }
        [name] | ["get", name] => Ok(Some(name)),
        _ => Err(BadUse("only one option is shown at a time".to_owned()).into()),
    }
}

fn value_of((_, variable, is_shown): &(&str, &str, bool)) -> Value {
    match std::env::var(variable) {
        Ok(value) if *is_shown => value.into(),
        Ok(_) => SECRET.into(),
        Err(_) => Value::Null,
    }
}
