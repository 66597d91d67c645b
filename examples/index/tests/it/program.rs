//! The program.

use std::path::Path;
use std::process::Command;

use service_kit::testing::{self, output};

fn program(dir: &Path) -> Command {
    testing::program(env!("CARGO_BIN_EXE_taskcluster-index"), "TC_INDEX", dir)
}

#[test]
fn it_checks_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = program(dir.path());
    check.args(["check-config", "--client-id", "static/taskcluster/index", "--database", "sqlite:here.db"]);
    let (fine, text) = output(&mut check);
    assert!(!fine && text.contains("access_token"), "{text}");
    let (fine, text) = output(check.env("TC_INDEX_ACCESS_TOKEN", "a-token-of-22-to-66-characters"));
    assert!(fine && text.contains("sqlite:here.db") && text.contains("127.0.0.1:8084"), "{text}");
    assert!(!text.contains("a-token-of"), "{text}");
    let (fine, text) = output(check.env("TC_INDEX_BUS_QUEU", "x"));
    assert!(!fine && text.contains("`bus_queue`"), "{text}");
}

#[test]
fn it_migrates_a_database() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (fine, text) = output(program(dir.path()).args(["migrate", "--database", "sqlite:here.db"]));
        assert!(fine && text.contains("sqlite:here.db is up to date"), "{text}");
    }
    let (fine, text) = output(program(dir.path()).arg("--help"));
    assert!(fine && text.contains("Example:") && text.contains("taskcluster-index serve"), "{text}");
}
