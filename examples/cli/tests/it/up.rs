//! `taskcluster up`.

use std::os::unix::fs::PermissionsExt as _;

use crate::deployment::{Up, command, get};
use crate::fixture::{Fixture, finish, text};

#[test]
fn credentials_are_made_once_and_a_second_one_names_the_first() {
    let fixture = Fixture::empty();
    let first = Up::start(&fixture, &[]);
    assert!(first.variable("TASKCLUSTER_ROOT_URL").starts_with("http://127.0.0.1:"));
    let token = first.variable("TASKCLUSTER_ACCESS_TOKEN").to_owned();

    let second = finish(command(&fixture, &[]).spawn().unwrap());
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains(&format!("process {}", first.id())), "{}", text(&second.stderr));
    first.stop();

    let mut secrets = 0;
    for file in std::fs::read_dir(fixture.data()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.is_file() && std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&token)) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
            secrets += 1;
        }
    }
    assert_eq!(secrets, 1);
    let again = Up::start(&fixture, &[]);
    assert_eq!(again.variable("TASKCLUSTER_ACCESS_TOKEN"), token);
    again.stop();
}

#[test]
fn behind_another_name_it_speaks_of_itself_by_that_name() {
    let fixture = Fixture::empty();
    // Nobody answers under the name yet: what stands in front may be started later.
    let up = Up::start(&fixture, &["--public-url", "https://ci.example.invalid/"]);
    assert_eq!(up.variable("TASKCLUSTER_ROOT_URL"), "https://ci.example.invalid");
    let said = up.said();
    let address = said.split("It listens on ").nth(1).and_then(|rest| rest.split(';').next()).expect("an address");
    let manifest = get(address, "ci.example.invalid", "/references/manifest.json");
    assert!(manifest.contains("https://ci.example.invalid/references/queue/v1/api.json"), "{manifest}");
    assert!(!manifest.contains(address), "{manifest}");
    // The roles were made all the same.
    let role = get(address, "ci.example.invalid", "/api/auth/v1/roles/anonymous");
    assert!(role.contains("queue:get-artifact:public/*"), "{role}");
    up.stop();
}
