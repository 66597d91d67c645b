//! The program.

use std::path::Path;
use std::process::Command;

/// The program, with nothing of our own environment that it would take for a setting.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskcluster-purge-cache"));
    command.current_dir(dir);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TC_PURGE_CACHE_")) {
        command.env_remove(name);
    }
    command
}

fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
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
