//! `taskcluster up`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};

use crate::fixture::{Fixture, finish, text};

/// Starts a deployment and reads its `export` lines.
fn up(fixture: &Fixture) -> (Child, Vec<String>) {
    let data = fixture.data();
    let args = ["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let mut child = fixture.command(&args).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let mut exports = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if line.starts_with("export ") {
            exports.push(line);
        }
        if exports.len() == 3 {
            return (child, exports);
        }
    }
    let output = child.wait_with_output().unwrap();
    panic!("it did not come up: {exports:?} {}", text(output.stderr));
}

fn down(mut child: Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn credentials_are_made_once_and_a_second_one_names_the_first() {
    let fixture = Fixture::empty();
    let (first, exports) = up(&fixture);
    let value = |exports: &[String], name: &str| {
        let line = exports.iter().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} in {exports:?}"));
        line.split_once('=').unwrap().1.to_owned()
    };
    assert!(value(&exports, "TASKCLUSTER_ROOT_URL").contains("http://127.0.0.1:"));
    let token = value(&exports, "TASKCLUSTER_ACCESS_TOKEN");

    let data = fixture.data();
    let second =
        finish(fixture.command(&["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]).spawn().unwrap());
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains(&first.id().to_string()), "{}", text(&second.stderr));
    down(first);

    for secret in std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        let secret_name = secret.file_name().unwrap().to_string_lossy().into_owned();
        if secret.is_file()
            && std::fs::read_to_string(&secret).is_ok_and(|text| text.contains(token.trim_matches('\'')))
        {
            assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{secret_name}");
        }
    }
    let (again, exports) = up(&fixture);
    assert_eq!(value(&exports, "TASKCLUSTER_ACCESS_TOKEN"), token);
    down(again);
}
