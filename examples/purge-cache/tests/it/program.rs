//! The program.

use std::path::Path;
use std::process::Command;

use service_kit::testing::{self, output};

fn program(dir: &Path) -> Command {
    testing::program(env!("CARGO_BIN_EXE_taskcluster-purge-cache"), "TC_PURGE_CACHE", dir)
}

#[test]
fn it_checks_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (fine, text) = output(program(dir.path()).args(["check-config", "--database", "sqlite:here.db"]));
    assert!(fine && text.contains("sqlite:here.db") && text.contains("127.0.0.1:8086"), "{text}");
    let (fine, text) = output(program(dir.path()).arg("check-config").env("TC_PURGE_CACHE_DATABAS", "x"));
    assert!(!fine && text.contains("`database`"), "{text}");
}

#[test]
fn it_migrates_a_database() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (fine, text) = output(program(dir.path()).args(["migrate", "--database", "sqlite:here.db"]));
        assert!(fine && text.contains("sqlite:here.db is up to date"), "{text}");
    }
    let (fine, text) = output(program(dir.path()).arg("--help"));
    assert!(fine && text.contains("Example:") && text.contains("taskcluster-purge-cache serve"), "{text}");
}
