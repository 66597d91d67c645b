//! Crates made of references that are not ours, and of names that get in each other's way, compile without a warning.
//!
//! Everything it depends on is compiled for it alone, which takes minutes: only in the long run.

use std::fs;
use std::path::Path;
use std::process::Command;

use taskcluster_codegen::{Generator, Sdk};

#[test]
fn an_emitted_crate_compiles_without_a_warning() {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_none() {
        println!("skipped: TASKCLUSTER_TESTS_LONG is not set");
        return;
    }
    for references in ["codegen/tests/foreign", "codegen/tests/fixtures/obstacles.json"] {
        check(references);
    }
}

fn check(references: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    Generator::new()
        .references(root.join(references))
        .server("crate")
        .write_crate(folder.path(), &Sdk::Path(root.clone()))
        .unwrap();
    // The versions that are here already.
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    let said = cargo(folder.path(), &["check", "--message-format", "short"]);
    let about_the_crate: Vec<&str> = said.lines().filter(|line| line.starts_with("src/")).collect();
    assert!(about_the_crate.is_empty(), "{references}: {about_the_crate:#?}");
    // The examples of its methods.
    cargo(folder.path(), &["test", "--doc"]);
}

/// Runs cargo, and gives what it says on the side.
fn cargo(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .args(["--offline", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted-crate"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo {args:?}: {said}\n{}", String::from_utf8_lossy(&output.stdout));
    said
}
