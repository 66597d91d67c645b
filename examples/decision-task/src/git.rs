//! The program `git`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Runs git in the checkout.
pub(crate) fn git(checkout: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(checkout).args(args).output().context("cannot start git")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", args.first().unwrap_or(&""), complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
