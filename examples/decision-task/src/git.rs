//! The program `git`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The full hash of the commit that `revision` names.
pub(crate) fn commit(checkout: &Path, revision: &str) -> Result<String> {
    let spec = format!("{revision}^{{commit}}");
    match git(checkout, &["rev-parse", "--verify", "--quiet", "--end-of-options", &spec]) {
        // `--end-of-options` is echoed by some versions of git.
        Ok(hash) => Ok(hash.lines().last().unwrap_or_default().to_owned()),
        // It says nothing where there is no such commit, and what is wrong where it cannot look.
        Err(error) if error.to_string() == "git rev-parse: " => {
            bail!("there is no commit `{revision}` in {}", checkout.display())
        }
        Err(error) => Err(error),
    }
}

/// Runs git in the checkout.
pub(crate) fn git(checkout: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(checkout).args(args).output().context("cannot start git")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", args.first().unwrap_or(&""), complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = commit(folder.path(), "HEAD").unwrap_err().to_string();
        assert!(error.contains("not a git repository"), "{error}");
        for args in [
            &["init", "-q"][..],
            &["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"],
        ] {
            git(folder.path(), args).unwrap();
        }
        assert_eq!(commit(folder.path(), "HEAD").unwrap().len(), 40);
        for revision in ["nope", "HEAD~1", "--all"] {
            let error = commit(folder.path(), revision).unwrap_err().to_string();
            assert!(error.starts_with(&format!("there is no commit `{revision}` in ")), "{error}");
        }
    }
}
