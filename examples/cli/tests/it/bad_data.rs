//! Data folders that will not do: exit code 2 and one line, for `run` and `up` alike.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::bad_input::complaint_of;
use crate::deployment::{Up, command};
use crate::fixture::{Fixture, finish, text};
use crate::run::{HERE, yml};

/// Both commands on the fixture's data folder.
fn both(fixture: &Fixture) -> [Command; 2] {
    let mut run = fixture.command(&["run", "repository", "--data"]);
    run.arg(fixture.data());
    [run, command(fixture, &[])]
}

const A_TASK: &str = "{version: 1, tasks: [{}]}";

#[test]
fn one_that_cannot_be_written() {
    let Some(wrapper) = without_special_rights() else {
        println!("skipped: this process cannot give up the right to write everywhere");
        return;
    };
    let fixture = Fixture::with(A_TASK);
    std::fs::create_dir(fixture.data()).unwrap();
    std::fs::set_permissions(fixture.data(), std::fs::Permissions::from_mode(0o555)).unwrap();
    for command in both(&fixture) {
        let line = complaint_of(wrapped(&wrapper, &command));
        let data = fixture.data();
        assert_eq!(line, format!("the data directory {} cannot be used: permission denied", data.display()));
    }
    std::fs::set_permissions(fixture.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn one_on_a_full_disk() {
    let fixture = Fixture::with(A_TASK);
    std::fs::create_dir(fixture.data()).unwrap();
    let Some(wrapper) = with_a_small_disk(&fixture.data(), "1m") else {
        println!("skipped: this process cannot mount a small disk");
        return;
    };
    for command in both(&fixture) {
        let line = complaint_of(wrapped(&wrapper, &command));
        let start = format!("the data directory {} cannot be used: the disk is full (", fixture.data().display());
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn a_disk_that_fills_up_ends_the_run() {
    let script = "dd if=/dev/zero of=big bs=1M count=1000; sleep 600";
    let fixture = Fixture::with(&yml(&[("greedy", "", HERE, script), ("after", "greedy", HERE, "true")]));
    std::fs::create_dir(fixture.data()).unwrap();
    let Some(wrapper) = with_a_small_disk(&fixture.data(), "64m") else {
        println!("skipped: this process cannot mount a small disk");
        return;
    };
    let [run, _] = both(&fixture);
    let output = finish(wrapped(&wrapper, &run).spawn().unwrap());
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}{}", text(&output.stdout));
    let data = fixture.data();
    let expected = format!("error: the data directory {} cannot be used any more: the disk is full", data.display());
    assert_eq!(stderr.lines().collect::<Vec<_>>(), [expected], "nothing else is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_newer_version() {
    for service in ["auth", "queue"] {
        let fixture = Fixture::with(A_TASK);
        Up::start(&fixture, &[]).stop();
        let database = fixture.data().join(format!("{service}.sqlite"));
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.unwrap();
        let future = "INSERT INTO migrations (service, name, checksum) SELECT service, '9999_future.sql', '' FROM migrations LIMIT 1";
        assert_eq!(connection.execute(future).await.unwrap().rows_affected(), 1);
        connection.close().await.unwrap();
        for command in both(&fixture) {
            let line = complaint_of(command);
            let expected = format!("the database of {service} was written by a newer version: ");
            assert!(line.contains(&expected) && line.contains("9999_future.sql"), "{line}");
        }
    }
}

/// What to put before a command so that even root may write only where permissions allow it, if that is possible.
fn without_special_rights() -> Option<Vec<String>> {
    let wrapper = if rustix::process::geteuid().is_root() {
        words(&["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"])
    } else {
        words(&["env"])
    };
    works(&wrapper).then_some(wrapper)
}

/// What to put before a command so that it sees a small disk of its own at `folder`, if that is possible. The mount goes with
/// the process.
fn with_a_small_disk(folder: &Path, size: &str) -> Option<Vec<String>> {
    let mount = r#"mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@""#;
    let unshare: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["unshare", "--mount"],
        false => &["unshare", "--mount", "--map-root-user"],
    };
    let wrapper = words(&[unshare, &["sh", "-c", mount, size, folder.to_str().unwrap()]].concat());
    works(&wrapper).then_some(wrapper)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn works(wrapper: &[String]) -> bool {
    let program = env!("CARGO_BIN_EXE_taskcluster");
    let output = Command::new(&wrapper[0]).args(&wrapper[1..]).args([program, "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The command with others before it, in the same folder and environment.
fn wrapped(wrapper: &[String], command: &Command) -> Command {
    let mut wrapped = Command::new(&wrapper[0]);
    wrapped.args(&wrapper[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.current_dir(command.get_current_dir().unwrap());
    wrapped
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    wrapped
}
