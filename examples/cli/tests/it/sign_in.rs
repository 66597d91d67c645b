//! `signin`, with a browser that does at once what its user would.

use std::os::unix::fs::PermissionsExt as _;

use crate::client::Client;
use crate::deployment::Up;
use crate::fixture::{Fixture, finish, text};

/// It notes where it was sent, and comes back with what first is none and then is some.
const BROWSER: &str = r#"#!/bin/sh
echo "$1" >"$NOTE"
back=$(echo "$1" | sed 's/.*callback_url=\([^&]*\).*/\1/; s/%3A/:/g; s/%2F/\//g')
curl -s -o /dev/null "$back?clientId=%27%3Bid%3B%27&accessToken=x"
curl -s -o /dev/null "${back%/*}?clientId=somebody&accessToken=else"
curl -s "$back?clientId=me%2Fcli-1&accessToken=abc_-9" >"$NOTE.page"
"#;

#[test]
fn the_browser_brings_credentials() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let (folder, note) = (fixture.folder().join("bin"), fixture.folder().join("note"));
    std::fs::create_dir(&folder).unwrap();
    let browser = folder.join("xdg-open");
    std::fs::write(&browser, BROWSER).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let says = |args: &[&str]| {
        let mut command = client.anonymous(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("NOTE", &note);
        let output = finish(command.spawn().unwrap());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let root_url = up.variable("TASKCLUSTER_ROOT_URL");
    let said = says(&["signin", "--scope", "queue:create-task:*", "-s", "queue:status:*", "--expires", "2 hours"]);
    let lines = format!(
        "export TASKCLUSTER_CLIENT_ID='me/cli-1'\nexport TASKCLUSTER_ACCESS_TOKEN='abc_-9'\nexport TASKCLUSTER_ROOT_URL='{root_url}'\n"
    );
    assert_eq!(said, lines);
    let page = std::fs::read_to_string(&note).unwrap();
    assert!(
        page.starts_with(&format!("{root_url}/auth/clients/create?scope=queue%3Acreate-task%3A*&scope=queue")),
        "{page}"
    );
    assert!(page.contains("&name=cli-") && page.contains("&expires=2+hours&"), "{page}");
    assert!(says(&["signin", "--csh"]).starts_with("setenv TASKCLUSTER_CLIENT_ID 'me/cli-1'\n"));

    client.says(&["signin", "--check"]);
    let nobody = finish(client.anonymous(&["signin", "--check"]).spawn().unwrap());
    assert_eq!(nobody.status.code(), Some(1));
    up.stop();
}
