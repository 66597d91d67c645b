//! `taskcluster run --wait`: somebody else takes the tasks that nobody here takes.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;
use taskcluster::queue::{ClaimWorkRequest, Queue};
use taskcluster_core::caller::Caller;
use taskcluster_core::credentials::Credentials;

use crate::deployment::interrupt;
use crate::fixture::{Fixture, finish, text};
use crate::run::{HERE, yml};

/// A run that waits for `releng/mac`, its root URL, and what it prints from now on.
fn waiting(fixture: &Fixture) -> (std::process::Child, String, impl Iterator<Item = Value>) {
    let mut command = fixture.command(&["run", "repository", "--json", "--wait", "--data"]);
    let mut child = command.arg(fixture.data()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let begin = events.next().unwrap();
    let root_url = begin["rootUrl"].as_str().unwrap().to_owned();
    let waits = |event: Value| event["event"] == "note" && event["text"].as_str().unwrap().contains("releng/mac");
    assert!(events.any(waits), "it waits");
    (child, root_url, events)
}

fn fixture() -> Fixture {
    Fixture::with(&yml(&[
        ("mac", "", "releng/mac", "true"),
        ("here", "", HERE, "true"),
        ("after", "mac", HERE, "true"),
    ]))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_another_worker_has_done_them() {
    let fixture = fixture();
    let (child, root_url, events) = waiting(&fixture);
    let token = std::fs::read_to_string(fixture.data().join("root.token")).unwrap();
    let credentials = Credentials::new("static/taskcluster/root", token.trim());
    let queue = Queue::new(Caller::builder(root_url.as_str()).credentials(credentials).build().unwrap());

    let claims = queue.claim_work("releng/mac", &ClaimWorkRequest::new("elsewhere", "mac-1", 1_u32)).await.unwrap();
    let claim = &claims.tasks[0];
    queue.report_completed(&claim.status.task_id, claim.run_id).await.unwrap();

    let end = events.last().unwrap();
    assert_eq!((&end["event"], &end["green"]), (&"end".into(), &true.into()), "{end}");
    assert_eq!(end["counts"], serde_json::json!({"green": 3}));
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn ctrl_c_ends_the_waiting() {
    let fixture = fixture();
    let (child, _, events) = waiting(&fixture);
    interrupt(child.id());
    let end = events.last().unwrap();
    assert_eq!(end["counts"], serde_json::json!({"exception": 1, "green": 1, "not run": 1}));
    assert_eq!(finish(child).status.code(), Some(130));
}
