//! A question before something is done.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use anyhow::{Context as _, Result};

use super::talk::BadUse;

/// Asks whoever sits at the terminal, or what standard input is instead, as `yes |`; `otherwise` says how to do without.
pub(super) fn confirm(question: &str, otherwise: &str) -> Result<bool> {
    let stdin = stdin();
    let is_seen = stdin.is_terminal();
    loop {
        if is_seen {
            eprint!("{question} [y/n] ");
        }
        let mut answer = String::new();
        if stdin.lock().read_line(&mut answer).context("cannot read the answer")? == 0 {
            return Err(BadUse(format!("nobody is there to be asked: {otherwise}")).into());
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}
