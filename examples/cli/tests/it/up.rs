//! `taskcluster up`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::deployment::{Up, command, get};
use crate::fixture::{Fixture, PATIENCE, finish, text};

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
    // Another machine is led to that name, too, with credentials that are not ours.
    let line =
        said.lines().find(|line| line.contains("taskcluster native-worker run")).expect("a worker's line").trim();
    for part in [
        "TASKCLUSTER_ROOT_URL='https://ci.example.invalid' TASKCLUSTER_CLIENT_ID='static/desk-worker' TASKCLUSTER_ACCESS_TOKEN='",
        " --task-queue-id local/native --worker-group desk --worker-id \"$(hostname -s)\"",
        " --tunnel-url 'https://ci.example.invalid/tunnel' --tunnel-audience tunnel",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains(address) && !line.contains(up.variable("TASKCLUSTER_ACCESS_TOKEN")), "{line}");
    assert_eq!(typed(&fixture, &line.replacen(" run ", " check ", 1)), (Some(0), String::new()), "{line}");
    let broken = line.replacen(" run ", " check ", 1).replace("--task-queue-id local/native", "");
    assert!(typed(&fixture, &broken).1.contains("task_queue_id is not set"), "the check looks at what is said");
    // The roles were made all the same.
    let role = get(address, "ci.example.invalid", "/api/auth/v1/roles/anonymous");
    assert!(role.contains("queue:get-artifact:public/*"), "{role}");
    up.stop();
}

/// How a line ends that is typed into a shell which finds this binary, and its complaint.
fn typed(fixture: &Fixture, line: &str) -> (Option<i32>, String) {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_taskcluster"));
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(fixture.folder()).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()));
    let output = shell.output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn the_payloads_of_its_workers_are_described_as_their_programs_do_it() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let address = up.variable("TASKCLUSTER_ROOT_URL").strip_prefix("http://").unwrap().to_owned();
    let printed = finish(fixture.command(&["native-worker", "schema"]).spawn().unwrap());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for path in ["/schemas/generic-worker/v1/payload.json", "/schemas/generic-worker/multiuser_posix.json"] {
        let answer = get(&address, &address, path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("\naccess-control-allow-origin: *\r\n"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), printed, "{path}");
    }
    // That of the Docker worker only where there is one.
    let docker = get(&address, &address, "/schemas/docker-worker/v1/payload.json");
    let is_there = docker.starts_with("HTTP/1.1 200");
    assert_eq!(is_there, cfg!(feature = "docker"), "{docker}");
    #[cfg(feature = "docker")]
    {
        let schema: Value = serde_json::from_str(docker.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(schema, taskcluster_docker_worker::DockerWorker::payload_schema());
    }
    up.stop();
}

#[test]
fn the_root_url_shows_a_page_that_says_what_is_there() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let address = up.variable("TASKCLUSTER_ROOT_URL").strip_prefix("http://").unwrap().to_owned();
    let page = get(&address, &address, "/");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("\ncontent-type: text/html; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\ncontent-security-policy: default-src 'none';"), "{head}");
    assert!(body.contains(env!("CARGO_PKG_VERSION")) && !body.contains("<script"), "{body}");
    // Whatever it leads to is there.
    let links: Vec<&str> = body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.contains(&"/references/queue/v1/api.json"), "{links:?}");
    for link in links {
        let answer = get(&address, &address, link);
        assert!(answer.starts_with("HTTP/1.1 200"), "{link}: {answer}");
    }
    up.stop();
}

#[test]
fn events_are_heard_by_everybody_and_whoever_listens_does_not_keep_it_from_ending() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let address = up.variable("TASKCLUSTER_ROOT_URL").strip_prefix("http://").unwrap().to_owned();
    let bindings = "%7B%22bindings%22:%5B%7B%22exchange%22:%22exchange/taskcluster-auth/v1/role-created%22,\
                    %22routingKeyPattern%22:%22%23%22%7D%5D%7D";
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = format!("/api/events/v1/connect/?bindings={bindings}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut lines = BufReader::new(&stream);
    while !heard.contains("event: ready") {
        assert_ne!(lines.read_line(&mut heard).unwrap(), 0, "{heard}");
    }
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    up.stop();
    // The answer has an end: it was not cut off.
    lines.read_to_string(&mut heard).unwrap();
    assert!(heard.ends_with("\r\n0\r\n\r\n"), "{heard:?}");
}
