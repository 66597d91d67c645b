//! Which files a push touches.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use taskcluster::graph::Changes;

/// Compares two commits that the checkout has. A base that it lacks (a shallow clone) means everything.
pub(crate) fn between(checkout: &Path, base: Option<&str>, head: &str) -> Result<Changes> {
    let Some(base) = base else { return Ok(Changes::Everything) };
    if git(checkout, &["cat-file", "-e", &format!("{base}^{{commit}}")]).is_err() {
        return Ok(Changes::Everything);
    }
    let names = git(checkout, &["diff", "--name-only", "--no-renames", "-z", base, head])?;
    Ok(Changes::from_git(&names))
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
    fn a_missing_base_means_everything_and_a_present_one_names_files() {
        let folder = std::env::temp_dir().join(format!("decision-task-changes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let run = |args: &[&str]| git(&folder, args).unwrap();
        run(&["init", "-q"]);
        for text in ["1", "2"] {
            std::fs::write(folder.join("a file"), text).unwrap();
            run(&["add", "-A"]);
            run(&["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", text]);
        }
        assert_eq!(between(&folder, None, "HEAD").unwrap(), Changes::Everything);
        let missing = "1111111111111111111111111111111111111111";
        assert_eq!(between(&folder, Some(missing), "HEAD").unwrap(), Changes::Everything);
        let changes = between(&folder, Some("HEAD~1"), "HEAD").unwrap();
        assert_eq!(changes, Changes::Files(vec!["a file".into()]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
