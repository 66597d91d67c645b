//! `signin`, with a browser that does at once what its user would.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
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

/// The root URL of a deployment that has pages, and nothing else.
fn pages() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root_url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\npage";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    root_url
}

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
    let root_url = pages();
    let says = |args: &[&str]| {
        let mut command = client.anonymous(args);
        command.env("TASKCLUSTER_ROOT_URL", &root_url);
        command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("NOTE", &note);
        let output = finish(command.spawn().unwrap());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
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

    // This deployment itself has no pages.
    let refused = finish(client.anonymous(&["signin"]).spawn().unwrap());
    let why = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && why.contains("has no page to sign in at"), "{why}");

    client.says(&["signin", "--check"]);
    let nobody = finish(client.anonymous(&["signin", "--check"]).spawn().unwrap());
    assert_eq!(nobody.status.code(), Some(1));
    up.stop();
}
