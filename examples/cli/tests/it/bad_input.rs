//! Bad input ends with exit code 2 and one line that names the place.

use std::process::Command;

use crate::fixture::{Fixture, finish, text};
use crate::run::{HERE, yml};

/// The one line that a command complains with.
pub(crate) fn complaint(fixture: &Fixture, args: &[&str]) -> String {
    complaint_of(fixture.command(args))
}

/// The same for a command that was prepared otherwise.
pub(crate) fn complaint_of(mut command: Command) -> String {
    let output = finish(command.spawn().unwrap());
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "", "it complains before it says anything");
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("note:")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    errors[0].strip_prefix("error: ").expect("an error line").to_owned()
}

#[test]
fn a_folder_without_a_repository() {
    let line = complaint(&Fixture::empty(), &["run", "repository"]);
    assert!(line.contains("repository is not in a git repository"), "{line}");
    let line = complaint(&Fixture::empty(), &["run", "nowhere"]);
    assert!(line.contains("nowhere is not a folder"), "{line}");
}

#[test]
fn a_machine_without_git() {
    let fixture = Fixture::with("version: 1");
    let mut command = fixture.command(&["run", "repository"]);
    command.env("PATH", fixture.repository());
    assert_eq!(complaint_of(command), "git is not installed, or not in the PATH");
}

#[test]
fn a_repository_of_somebody_else() {
    let fixture = Fixture::with("version: 1");
    let mut command = fixture.command(&["run", "repository"]);
    // What git's own tests do to it.
    command.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "true");
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
    let line = complaint_of(command);
    let root = fixture.repository().canonicalize().unwrap();
    let remedy = format!("git config --global --add safe.directory '{}'", root.display());
    assert!(line.starts_with("repository belongs to another user") && line.ends_with(&remedy), "{line}");
}

#[test]
fn a_repository_without_a_commit_or_without_that_commit() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "-q"]);
    assert!(complaint(&fixture, &["run", "repository"]).contains("no commit yet"));
    let fixture = Fixture::with("version: 1");
    assert!(complaint(&fixture, &["run", "repository", "--revision", "v7"]).contains("no commit `v7`"));
    assert!(complaint(&fixture, &["run", "repository", "--base", "v6"]).contains("no commit `v6`"));
}

#[test]
fn a_commit_without_taskcluster_yml() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "-q"]);
    fixture.commit(&[("other", "")]);
    assert!(complaint(&fixture, &["run", "repository"]).ends_with(" has no .taskcluster.yml"));
    let misnamed = Fixture::empty();
    misnamed.git(&["init", "-q"]);
    misnamed.commit(&[(".taskcluster.yaml", "version: 1")]);
    let line = complaint(&misnamed, &["run", "repository"]);
    assert!(line.ends_with(" has no .taskcluster.yml: rename .taskcluster.yaml to that"), "{line}");
    // It is the commit that counts.
    std::fs::write(fixture.repository().join(".taskcluster.yml"), "version: 1").unwrap();
    let line = complaint(&fixture, &["run", "repository"]);
    assert!(line.ends_with(" has no .taskcluster.yml: commit the one that is there"), "{line}");
}

#[test]
fn yaml_and_templates_are_named_by_place() {
    let fixture = Fixture::with("version: 1\ntasks: [a, b\n");
    assert_eq!(complaint(&fixture, &["run", "repository"]), ".taskcluster.yml:3:1: did not find expected ',' or ']'");
    let fixture = Fixture::with("version: 1\ntasks:\n  - payload: {env: {X: '${event.nothing.more}'}}\n");
    let line = complaint(&fixture, &["run", "repository"]);
    assert!(line.starts_with(".taskcluster.yml: tasks[0].payload.env.X: in `${event.nothing.more}`: "), "{line}");
}

#[test]
fn a_data_folder_that_cannot_be_one() {
    let fixture = Fixture::with("{version: 1, tasks: [{}]}");
    std::fs::write(fixture.data(), "a file").unwrap();
    let data = fixture.data();
    let line = complaint(&fixture, &["run", "repository", "--data", data.to_str().unwrap()]);
    assert_eq!(line, format!("the data directory {} cannot be used: it is not a folder", data.display()));
}

#[test]
fn a_definition_that_the_queue_refuses() {
    let fixture = Fixture::with("{version: 1, tasks: [{taskQueueId: local/native, payload: {}, maxTime: 3}]}");
    let data = fixture.data();
    let line = complaint(&fixture, &["run", "repository", "--data", data.to_str().unwrap()]);
    assert!(line.starts_with(".taskcluster.yml: tasks[0]: "), "{line}");
    assert!(line.contains("maxTime") && line.contains("metadata"), "{line}");
    assert!(!line.contains("top level"), "{line}");
    // An address of a process that has ended helps nobody.
    assert!(!line.contains("://"), "{line}");
    // To the author the value is no secret.
    let fixture = Fixture::with("{version: 1, tasks: [{dependencies: [bogus], payload: {}}]}");
    let line = complaint(&fixture, &["run", "repository", "--data", data.to_str().unwrap()]);
    assert!(line.contains("/dependencies/0: \"bogus\" does not match "), "{line}");
    assert!(line.contains("`as_slugid` of a task's name gives one"), "{line}");
}

#[test]
fn scopes_that_the_repository_does_not_have_unless_they_are_granted() {
    let scopes = r#"scopes: ["queue:route:of-mine", "secrets:get:mine"]"#;
    let yml = yml(&[("greedy", "", HERE, "true")]).replace("    payload:", &format!("    {scopes}\n    payload:"));
    let fixture = Fixture::with(&yml);
    let data = fixture.data();
    let args = ["run", "repository", "--data", data.to_str().unwrap()];
    let refused = ".taskcluster.yml: tasks[0] (greedy): the repository's role repo:localhost/local/repository:branch:main \
                   does not have secrets:get:mine; ask for less in the task, or allow it here: --grant 'secrets:get:mine'";
    assert_eq!(complaint(&fixture, &args), refused);
    let output = fixture.run(&["--grant", "secrets:get:mine"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    // It holds for that run.
    assert_eq!(complaint(&fixture, &args), refused);
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let fixture = Fixture::empty();
    let data = fixture.data();
    let line = complaint(&fixture, &["up", "--listen", &address, "--data", data.to_str().unwrap()]);
    assert_eq!(line, format!("{address} is in use by another program; choose another with --listen"));
}

#[test]
fn an_address_that_is_none() {
    for address in ["8080", "localhost:8099"] {
        let line = complaint(&Fixture::empty(), &["up", "--listen", address]);
        assert!(line.contains(address) && line.contains("such as 127.0.0.1:8080"), "{line}");
    }
}

#[test]
fn bad_use() {
    let fixture = Fixture::empty();
    for args in
        [&["run", "--unknown"][..], &["up", "--listen", "nowhere"], &["up", "--public-url", "https://x/path"], &["fly"]]
    {
        let output = finish(fixture.command(args).spawn().unwrap());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_queue_that_no_task_can_name() {
    for command in ["run", "up"] {
        for name in ["no-slash", "local/Native", "local/with_line"] {
            let line = complaint(&Fixture::empty(), &[command, "--serve", name]);
            assert!(line.contains(&format!("'{name}'")) && line.contains("small letters, digits and -"), "{line}");
        }
    }
}
