//! The body of a call: where it comes from, and whether it is one.

use std::fs;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use serde_json::value::RawValue;
use taskcluster_server::References;

use super::Invocation;

/// After so long without a body somebody may wonder why nothing happens.
const WONDERING: Duration = Duration::from_secs(2);

/// Reads the body, and holds it against the schema.
pub(super) fn read(invocation: &Invocation, schema: &str) -> Result<Box<RawValue>> {
    let operation = invocation.method.operation;
    let text = match invocation.body.as_deref() {
        Some(text) if text.trim_start().starts_with(['{', '[', '"']) => text.to_owned(),
        None | Some("-") => from_stdin(invocation.body.is_some())?,
        Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read the body {file}"))?,
    };
    if text.trim().is_empty() {
        bail!("{operation} needs a body: --body FILE, --body JSON, or on standard input");
    }
    let body = json_of(&text)?;
    if !invocation.no_check {
        let value: Value = serde_json::from_str(body.get())?;
        let faults = References::embedded().faults(operation.service, schema, &value)?;
        if !faults.is_empty() {
            let faults = faults.join("; ");
            bail!("the body does not fit the schema of {operation}: {faults} (--no-check sends it all the same)");
        }
    }
    Ok(body)
}

/// The body as it is sent: JSON stays as it stands, and what people would rather write becomes JSON.
fn json_of(text: &str) -> Result<Box<RawValue>> {
    let not_json = match serde_json::from_str(text) {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    match serde_yaml_ng::from_str::<Value>(text) {
        Ok(body @ (Value::Object(_) | Value::Array(_))) if !text.trim_start().starts_with(['{', '[']) => {
            Ok(serde_json::value::to_raw_value(&body)?)
        }
        Err(not_yaml) if text.contains(": ") => bail!("the body is neither JSON ({not_json}) nor YAML ({not_yaml})"),
        _ => Err(anyhow!("the body is not JSON: {not_json}")),
    }
}

/// What is piped in. Of a terminal only if that was asked for: nobody should wonder why nothing happens.
fn from_stdin(asked_for: bool) -> Result<String> {
    let mut text = String::new();
    if asked_for || !stdin().is_terminal() {
        let (_until_read, read) = mpsc::channel::<()>();
        thread::spawn(move || {
            if read.recv_timeout(WONDERING) == Err(RecvTimeoutError::Timeout) {
                eprintln!("note: waiting for the body on standard input");
            }
        });
        stdin().read_to_string(&mut text).context("cannot read the body from standard input")?;
    }
    Ok(text)
}
