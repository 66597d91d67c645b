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
    let body: Box<RawValue> = serde_json::from_str(&text).map_err(|error| anyhow!("the body is not JSON: {error}"))?;
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
