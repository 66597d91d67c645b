//! `taskcluster api` against a deployment. That every method is there is a test of its own, beside the code.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::client::{Client, alone, complaint};
use crate::deployment::{Up, get};
use crate::fixture::{Fixture, finish, text};

#[test]
fn calls_are_made_and_answers_are_json() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    assert_eq!(client.json(&["api", "queue", "ping"])["alive"], true);

    // The body may be given in three ways.
    let role = json!({ "description": "From a test.", "scopes": ["secrets:get:a"] }).to_string();
    for (name, body) in [("one", role.as_str()), ("two", "role.json"), ("three", "-")] {
        std::fs::write(fixture.folder().join("role.json"), &role).unwrap();
        let args = ["api", "auth", "createRole", &format!("test:{name}"), "--body", body];
        let answer: Value = serde_json::from_str(&client.hears(&args, &role)).unwrap();
        assert_eq!(answer["scopes"], json!(["secrets:get:a"]));
    }
    // One line where no terminal reads it.
    let said = client.says(&["api", "auth", "role", "test:one"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    let file = fixture.folder().join("answer.json");
    assert_eq!(client.says(&["api", "auth", "role", "test:one", "-o", file.to_str().unwrap()]), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), said);
    // An answer without content is none.
    assert_eq!(client.says(&["api", "auth", "deleteRole", "test:three"]).trim(), "");

    // All pages, an item a line.
    let said = client.says(&["api", "auth", "listRoles2", "--all", "--limit", "1"]);
    let roles: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(roles.len() > 2 && roles.iter().all(|role| role["roleId"].is_string()), "{said}");
    let page = client.json(&["api", "auth", "listRoles2", "--limit", "1"]);
    assert_eq!(page["roles"].as_array().unwrap().len(), 1);
    let token = page["continuationToken"].as_str().unwrap();
    let said = client.says(&["api", "auth", "listRoles2", "--all", "--continuationToken", token]);
    assert_eq!(said.lines().count(), roles.len() - 1, "{said}");
    up.stop();
}

#[test]
fn a_call_can_be_signed_or_only_thought_of() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let root_url = up.variable("TASKCLUSTER_ROOT_URL");

    let url = client.says(&["api", "auth", "currentScopes", "--signed-url=1 hour"]);
    let url = url.trim();
    assert!(url.starts_with(&format!("{root_url}/api/auth/v1/scopes/current?bewit=")), "{url}");
    let address = root_url.strip_prefix("http://").unwrap();
    let answer = get(address, address, url.strip_prefix(root_url).unwrap());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""*""#), "{answer}");

    let task = "fN1SbArXTPSVFNUvaOlinQ";
    let told = client.json(&["api", "queue", "cancelTask", task, "--dry-run"]);
    assert_eq!(told["method"], "POST");
    assert_eq!(told["url"], format!("{root_url}/api/queue/v1/task/{task}/cancel"));
    // What only the service knows stands in brackets.
    assert!(
        told["needs"].to_string().contains(&format!("queue:cancel-task:<schedulerId>/<taskGroupId>/{task}")),
        "{told}"
    );
    let told = client.json(&["api", "queue", "getLatestArtifact", task, "private/x", "--needs"]);
    assert_eq!(told["needs"], json!({ "AllOf": ["queue:get-artifact:private/x"] }), "{told}");
    let body = r#"{"description": "x", "scopes": ["a:b"]}"#;
    let told = client.json(&["api", "auth", "createRole", "test:x", "--body", body, "--dry-run"]);
    assert_eq!(told["body"]["description"], "x");
    assert!(told["needs"].to_string().contains("auth:create-role:test:x"), "{told}");
    // Nothing was done.
    assert_eq!(client.complains(&["api", "auth", "role", "test:x"]).1, Some(1));
    up.stop();
}

#[test]
fn what_is_refused_is_one_line_and_exit_code_1() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = "fN1SbArXTPSVFNUvaOlinQ";
    let (line, code) = client.complains(&["api", "queue", "status", task]);
    assert!(line.starts_with("queue.status: ResourceNotFound (404): "), "{line}");
    assert_eq!(code, Some(1));
    let output = finish(client.anonymous(&["api", "auth", "deleteRole", "test:x"]).spawn().unwrap());
    let (line, code) = complaint(&output);
    assert!(line.contains("(403)") && line.contains("auth:delete-role:test:x"), "{line}");
    assert_eq!(code, Some(1));
    // The schema of a later version may take what this one does not: the service has the last word.
    let args = ["api", "auth", "createRole", "test:x", "--body", r#"{"odd": 1}"#];
    let (line, code) = client.complains(&args);
    assert!(line.contains("\"odd\"") || line.contains("odd"), "{line}");
    assert!(line.contains("--no-check"), "{line}");
    assert_eq!(code, Some(2));
    let (line, code) = client.complains(&[&args[..], &["--no-check"]].concat());
    assert!(line.starts_with("auth.createRole: InputError (400): ") || line.contains("InputValidationError"), "{line}");
    assert_eq!(code, Some(1));
    up.stop();

    let mut gone = alone(&fixture, &["api", "queue", "rerunTask", task]);
    // Nobody listens there.
    gone.env("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:9");
    let (line, code) = complaint(&finish(gone.spawn().unwrap()));
    assert!(line.starts_with("queue.rerunTask: no answer from http://127.0.0.1:9"), "{line}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_cannot_be_asked_is_exit_code_2() {
    let fixture = Fixture::empty();
    let complains = |args: &[&str], root_url: Option<&str>| {
        let mut command = alone(&fixture, args);
        root_url.map(|root_url| command.env("TASKCLUSTER_ROOT_URL", root_url));
        let (line, code) = complaint(&finish(command.spawn().unwrap()));
        assert_eq!(code, Some(2), "{line}");
        line
    };
    let nowhere = Some("http://127.0.0.1:9");
    assert_eq!(complains(&["api", "queue", "ping"], None), "TASKCLUSTER_ROOT_URL is not set");
    let line = complains(&["api", "auth", "createRole", "x", "--body", "{"], nowhere);
    assert!(line.starts_with("the body is not JSON: "), "{line}");
    let line = complains(&["api", "auth", "createRole", "x", "--body", "nowhere.json"], nowhere);
    assert!(line.starts_with("cannot read the body nowhere.json: "), "{line}");
    let line = complains(&["api", "auth", "createRole", "x"], nowhere);
    assert!(line.starts_with("auth.createRole needs a body: --body FILE"), "{line}");
    let line = complains(&["api", "queue", "ping", "--signed-url"], nowhere);
    assert!(line.ends_with("there are no credentials"), "{line}");
    let line = complains(&["api", "queue", "status", "nonsense"], nowhere);
    assert!(line.contains("'nonsense'"), "{line}");
}

/// A stream goes on until somebody ends it, and what comes is there at once.
#[test]
fn a_stream_is_printed_as_it_comes() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let bindings =
        r##"{"bindings":[{"exchange":"exchange/taskcluster-auth/v1/role-created","routingKeyPattern":"#"}]}"##;
    let mut child = client.command(&["api", "events", "connect", "--bindings", bindings]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut heard = Vec::new();
    let mut until = |wanted: &str| {
        while !text(&heard).contains(wanted) {
            let mut piece = [0; 1024];
            let length = stdout.read(&mut piece).unwrap();
            assert_ne!(length, 0, "{}", text(&heard));
            heard.extend_from_slice(&piece[..length]);
        }
    };
    until("event: ready");
    client.says(&["api", "auth", "createRole", "test:heard", "--body", r#"{"description": "", "scopes": []}"#]);
    until("test:heard");
    child.kill().unwrap();
    child.wait().unwrap();
    up.stop();
}

/// As with `| head`: the rest is not wanted, which is no error.
#[test]
fn a_reader_that_has_heard_enough_is_no_error() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let mut child = client.command(&["api", "auth", "listRoles2", "--all"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = finish(child);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    up.stop();
}
