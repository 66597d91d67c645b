//! The program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_taskcluster-codegen")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn lists_services() {
    let text = stdout(&run(&["list", "--references", FOREIGN]));
    assert_eq!(text.lines().count(), 8);
    assert!(text.contains("worker-manager v1: 27 methods, 10 exchanges, "), "{text}");
}

#[test]
fn shows_either_side_of_a_service() {
    let client = stdout(&run(&["show", "hooks", "--references", FOREIGN]));
    assert!(client.contains("pub struct Hooks {") && !client.contains("HooksApi"));
    let server = stdout(&run(&["show", "hooks", "--server", "--references", FOREIGN]));
    assert!(server.contains("pub trait HooksApi") && !server.contains("pub struct Hooks {"));
}

#[test]
fn checks_a_folder() {
    let check = stdout(&run(&["check", FOREIGN]));
    assert!(check.contains(": no fault found\nfingerprint: sha256-"), "{check}");
}

#[test]
fn says_all_that_is_wrong_with_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let api = |service: &str, input: &str| {
        serde_json::json!({
            "$schema": "/schemas/common/api-reference-v0.json#", "serviceName": service, "apiVersion": "v1",
            "title": service, "description": service,
            "entries": [{
                "type": "function", "method": "post", "route": "/make", "query": [], "args": [], "name": "make",
                "stability": "stable", "category": "Things", "title": "Make", "description": "Make.", "input": input
            }]
        })
    };
    for service in ["alpha", "beta"] {
        let nowhere = api(service, "v1/nowhere.json#").to_string();
        fs::write(folder.path().join(format!("{service}.json")), nowhere).unwrap();
    }
    let check = || {
        let output = run(&["check", folder.path().to_str().unwrap()]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let faults = check();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("error: alpha.json#/entries/0/input: "), "{faults:?}");
    assert!(faults[1].starts_with("error: beta.json#/entries/0/input: "), "{faults:?}");

    // Files that are none come first.
    fs::write(folder.path().join("gamma.json"), "{").unwrap();
    fs::write(folder.path().join("delta.json"), "[1,").unwrap();
    let faults = check();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("error: delta.json: not JSON: "), "{faults:?}");
    assert!(faults[1].starts_with("error: gamma.json: not JSON: "), "{faults:?}");
}

#[test]
fn prints_the_model_as_json() {
    let model: serde_json::Value = serde_json::from_str(&stdout(&run(&["model", "--json", FOREIGN]))).unwrap();
    assert_eq!(model["services"].as_array().unwrap().len(), 10);
}

#[test]
fn writes_a_crate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("My Clients");
    let (out, sdk) = (out.to_str().unwrap(), concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    stdout(&run(&["emit", FOREIGN, "--out", out, "--sdk", sdk, "--server"]));
    let manifest = fs::read_to_string(Path::new(out).join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("name = \"my-clients\"") && manifest.contains("taskcluster-core = { path = "),
        "{manifest}"
    );
    for file in ["src/lib.rs", "src/hooks.rs", "src/server.rs", "src/server/worker_manager.rs"] {
        syn::parse_file(&fs::read_to_string(Path::new(out).join(file)).unwrap()).unwrap();
    }
    stdout(&run(&["emit", FOREIGN, "--out", out, "--sdk", "1.2"]));
    let manifest = fs::read_to_string(Path::new(out).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("taskcluster-core = \"1.2\"") && !manifest.contains("async-trait"), "{manifest}");
}

/// Whoever pastes the command from a clone gets a crate that finds the SDK there.
#[test]
fn the_commands_of_readme_and_help_give_a_crate_that_depends_on_the_clone() {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let help = stdout(&run(&["--help"]));
    let of_readme = readme.lines().find_map(|line| line.strip_prefix("cargo run -p taskcluster-codegen -- emit "));
    let of_help = help.lines().find_map(|line| line.strip_prefix("  taskcluster-codegen emit api-references "));
    let of_help = format!("api-references {}", of_help.unwrap());
    for command in [of_readme.unwrap(), of_help.as_str()] {
        let command = command.split('#').next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("clients");
        let written = |word: &str| if word.ends_with("clients") { out.to_str().unwrap() } else { word }.to_owned();
        let mut emit = Command::new(env!("CARGO_BIN_EXE_taskcluster-codegen"));
        emit.current_dir(&clone).arg("emit").args(command.split_whitespace().map(written));
        stdout(&emit.output().unwrap());
        let manifest = fs::read_to_string(out.join("Cargo.toml")).unwrap();
        let core = clone.join("taskcluster").join("core");
        assert!(manifest.contains(&format!("taskcluster-core = {{ path = {:?} }}", core.display())), "{manifest}");
    }
}

#[test]
fn one_thing_is_counted_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let api = r#"{"serviceName": "x", "entries": [{"name": "a", "method": "get", "route": "/", "args": []}]}"#;
    fs::write(folder.path().join("api.json"), api).unwrap();
    let check = stdout(&run(&["check", folder.path().to_str().unwrap()]));
    assert!(check.starts_with("1 service, 1 method, 0 exchanges, 0 types: no fault found\n"), "{check}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let references = folder.path().join("references");
    fs::create_dir(&references).unwrap();
    let api = r#"{"serviceName": "x", "entries": [{"name": "a", "method": "get", "route": "/<id>", "args": []}]}"#;
    fs::write(references.join("api.json"), api).unwrap();
    let out = folder.path().join("out");
    let emit = run(&["emit", references.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(emit.status.code(), Some(1));
    let message = String::from_utf8(emit.stderr).unwrap();
    assert!(message.starts_with("error: api.json#/entries/0/route: "), "{message}");
    assert!(!out.exists());
    assert_eq!(run(&["check", "/nowhere/at/all"]).status.code(), Some(1));
    let empty = tempfile::tempdir().unwrap();
    let check = String::from_utf8(run(&["check", empty.path().to_str().unwrap()]).stderr).unwrap();
    assert!(check.starts_with("error: there is no reference of a service in "), "{check}");
}

#[test]
fn a_crate_of_somebody_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("Cargo.toml");
    fs::write(&manifest, "[package]").unwrap();
    let emit = run(&["emit", FOREIGN, "--out", folder.path().to_str().unwrap()]);
    assert_eq!(emit.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&emit.stderr).contains("left alone"));
    assert_eq!(fs::read_to_string(manifest).unwrap(), "[package]");
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "mine").unwrap();
    let emit = || run(&["emit", FOREIGN, "--out", folder.path().to_str().unwrap()]);
    let refuses = || {
        let emit = emit();
        assert_eq!((emit.status.code(), emit.stdout.len()), (Some(1), 0));
        let message = String::from_utf8(emit.stderr).unwrap();
        assert!(message.contains("is left alone") && message.lines().count() == 1, "{message}");
        assert_eq!(fs::read_to_string(folder.path().join("src/lib.rs")).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path().join("src")).unwrap().count(), 1);
    };
    refuses();
    // A manifest that is no text is somebody's too.
    fs::write(folder.path().join("Cargo.toml"), b"\xff").unwrap();
    refuses();
    // A fresh repository is nothing else.
    fs::remove_dir_all(folder.path().join("src")).unwrap();
    fs::remove_file(folder.path().join("Cargo.toml")).unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    stdout(&emit());
}

#[test]
fn services_called_as_files_of_a_crate_get_other_modules() {
    let folder = tempfile::tempdir().unwrap();
    let references = folder.path().join("references");
    fs::create_dir(&references).unwrap();
    for service in ["lib", "server", "main"] {
        let api = format!(r#"{{"serviceName": "{service}", "entries": []}}"#);
        fs::write(references.join(format!("{service}.json")), api).unwrap();
    }
    let out = folder.path().join("out");
    stdout(&run(&["emit", references.to_str().unwrap(), "--out", out.to_str().unwrap(), "--server"]));
    for file in ["lib_service.rs", "server_service.rs", "main_service.rs", "server/server_service.rs"] {
        assert!(out.join("src").join(file).is_file(), "{file}");
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    let output = run(&["shw"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, "error: there is no command \"shw\"\nSee taskcluster-codegen --help\n");
    assert!(stdout(&run(&["--help"])).contains("Example:"));
}

#[test]
fn a_folder_without_the_sdk_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (out, sdk) = (folder.path().join("out"), folder.path().join("sdk"));
    let emit = run(&["emit", FOREIGN, "--out", out.to_str().unwrap(), "--sdk", sdk.to_str().unwrap()]);
    assert_eq!(emit.status.code(), Some(1));
    let message = String::from_utf8(emit.stderr).unwrap();
    let sdk = sdk.display();
    let expected = format!(
        "error: sdk: {sdk} does not hold the SDK: the crate taskcluster-core is neither in {sdk}/taskcluster/core nor {sdk}/core nor {sdk}/../core\n"
    );
    assert_eq!(message, expected);
    assert!(!out.exists());
}

#[test]
fn whoever_names_no_references_where_there_are_none_learns_how_to() {
    let folder = tempfile::tempdir().unwrap();
    let message = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_taskcluster-codegen"));
        let output = program.current_dir(&folder).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for args in [&["list"][..], &["show", "queue"], &["check"], &["model", "--json"]] {
        let message = message(args);
        assert!(message.starts_with("error: api-references: ") && message.lines().count() == 1, "{args:?}: {message}");
        assert!(message.ends_with("; --references FOLDER names another folder\n"), "{args:?}: {message}");
    }
    let message = message(&["list", "--references", "elsewhere"]);
    assert!(message.starts_with("error: elsewhere: ") && !message.contains("--references"), "{message}");
}
