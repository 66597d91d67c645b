//! What programs read: `--json`.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::client::{Client, alone, complaint};
use crate::deployment::Up;
use crate::fixture::{Fixture, finish, text};

/// Nobody serves it.
const QUEUE: &str = "nobody/none";

/// The documents that a command prints, each on a line.
fn documents(client: &Client<'_>, args: &[&str]) -> Vec<Value> {
    let said = client.says(args);
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{args:?}: {said}"))).collect()
}

#[test]
fn a_task_is_told_as_the_queue_tells_it() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let definition = "taskQueueId: nobody/none\npayload: {}\n\
        metadata: {name: told, description: It is told., owner: me@example.com, source: https://example.com}\n";
    let created: Value = serde_json::from_str(&client.hears(&["task", "create", "--json"], definition)).unwrap();
    let task = created["taskId"].as_str().unwrap();
    let status = client.json(&["task", "status", "--json", task]);
    assert_eq!(status, client.json(&["api", "queue", "status", task])["status"]);
    assert_eq!((&status["state"], &status["runs"][0]["state"]), (&json!("pending"), &json!("pending")));
    // The option may stand at either command.
    assert_eq!(client.json(&["task", "--json", "name", task]), json!({"taskId": task, "name": "told"}));
    assert_eq!(client.json(&["task", "group", task, "--json"]), json!({"taskId": task, "taskGroupId": task}));
    assert_eq!(client.json(&["task", "def", task, "--json"])["metadata"]["name"], "told");
    assert_eq!(client.says(&["task", "artifacts", task, "--json"]), "");
    assert_eq!(client.says(&["task", "cancel", task, "--noop", "--json"]), "", "nothing is known of what was not done");

    let mut child = client.command(&["task", "watch", task, "--json"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    assert_eq!(seen.next().unwrap()["state"], "pending");
    assert_eq!(client.json(&["task", "cancel", task, "--json"])["state"], "exception");
    assert_eq!(seen.next().unwrap()["runs"][0]["reasonResolved"], "canceled");
    assert!(seen.next().is_none());
    assert_eq!(finish(child).status.code(), Some(1));

    let rerun = client.json(&["task", "rerun", task, "--json"]);
    assert_eq!((&rerun["taskId"], &rerun["runs"][1]["state"]), (&json!(task), &json!("pending")));
    let other = client.json(&["task", "retrigger", task, "--json"]);
    assert!(other["taskId"] != task && other["state"] == "pending", "{other}");
    let (line, code) = client.complains(&["task", "log", "--json", task]);
    assert_eq!((line.as_str(), code), ("--json: a log is text", Some(2)));
    up.stop();
}

#[test]
fn a_group_is_told_as_the_queue_tells_it() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "lonely", "true");
    let listed = documents(&client, &["group", "list", &task, "--json"]);
    assert_eq!(listed, documents(&client, &["api", "queue", "listTaskGroup", "--all", &task]));
    assert_eq!(listed[0]["task"]["metadata"]["name"], "lonely");
    assert_eq!(client.says(&["group", "list", &task, "--failed", "--json"]), "");
    assert_eq!(client.json(&["group", "status", &task, "--json"]), json!({"pending": 1}));
    let none = ["group", "cancel", &task, "--force", "--worker-type", "other", "--json"];
    assert_eq!(client.says(&none), "");
    let cancelled = client.json(&["group", "cancel", &task, "--force", "--json"]);
    assert_eq!((&cancelled["taskId"], &cancelled["state"]), (&json!(task), &json!("exception")));
    up.stop();
}

#[test]
fn artifacts_are_told_with_what_is_known_of_them() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "report", "true");
    client.hears(&["api", "queue", "claimWork", QUEUE], r#"{"tasks": 1, "workerGroup": "g", "workerId": "w"}"#);
    std::fs::write(fixture.folder().join("report.txt"), "well").unwrap();
    let put = ["artifact", "put", "public/report.txt", "report.txt", "--task", &task, "--run", "0", "--json"];
    let put = client.json(&put);
    assert_eq!((&put["name"], &put["length"]), (&json!("public/report.txt"), &json!(4)));
    assert!(put["sha256"].as_str().is_some_and(|hash| hash.len() == 64), "{put}");
    for command in [["artifact", "list"], ["task", "artifacts"]] {
        let listed = client.json(&[&command[..], &[task.as_str(), "--json"]].concat());
        assert_eq!((&listed["name"], &listed["storageType"]), (&json!("public/report.txt"), &json!("s3")), "{listed}");
    }
    for command in [["artifact", "get"], ["download", "artifact"]] {
        let got = client.json(&[&command[..], &[task.as_str(), "public/report.txt", "copy", "--json"]].concat());
        assert_eq!(
            (&got["file"], &got["length"], &got["sha256"]),
            (&json!("copy"), &json!(4), &put["sha256"]),
            "{got}"
        );
    }
    let (line, code) = client.complains(&["artifact", "get", &task, "public/report.txt", "-", "--json"]);
    assert_eq!((line.as_str(), code), ("--json: standard output is for what is downloaded", Some(2)));
    up.stop();
}

#[test]
fn a_graph_is_told_as_the_scheduler_tells_it() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = "fN1SbArXTPSVFNUvaOlinQ";
    let metadata = "metadata: {name: one, description: One., owner: me@example.com, source: https://example.com}";
    let graph = format!(
        "scopes: ['*']\n{metadata}\ntasks:\n  - taskId: {task}\n    requires: []\n    task:\n      \
         taskQueueId: nobody/none\n      payload: {{}}\n      {metadata}\n"
    );
    let submitted: Value = serde_json::from_str(&client.hears(&["graph", "submit", "--json"], &graph)).unwrap();
    let id = submitted["taskGraphId"].as_str().unwrap();
    assert_eq!(client.json(&["graph", "status", id, "--json"])["state"], "running");
    assert_eq!(client.json(&["graph", "list", "--json"])["status"]["taskGraphId"], id);
    assert_eq!(client.json(&["graph", "tasks", id, "--json"])["taskId"], task);
    let drawn = client.json(&["graph", "draw", id, "--json"]);
    assert!(drawn["mermaid"].as_str().unwrap().starts_with("flowchart LR\n"), "{drawn}");
    assert_eq!(client.json(&["graph", "rerun", id, "--json"])["taskIds"], json!([]));
    assert_eq!(client.json(&["graph", "cancel", id, "--json"])["taskGraphId"], id);
    up.stop();
}

#[test]
fn a_worker_type_is_told_as_the_provisioner_tells_it() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let definition = "description: None.\nowner: me@example.com\nmaxCapacity: 1\nscalingRatio: 0\nlifecycle: {}\n\
        secrets: {password: hunter2}\nprovider: {kind: local-process, command: [taskcluster, native-worker, run]}\n";
    let defined = client.hears(&["provision", "define", "none", "--json"], definition);
    let shown = client.says(&["provision", "show", "none", "--json"]);
    assert_eq!(defined, shown);
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["workerType"], &shown["version"]), (&json!("none"), &json!(1)));
    assert_eq!(client.json(&["provision", "list", "--json"])["maxCapacity"], 1);
    let explained = client.json(&["provision", "explain", "none", "--json"]);
    assert!(explained["lines"].is_array(), "{explained}");
    assert_eq!(client.says(&["provision", "state", "none", "--json"]), "");
    // Only numbers: no head of a table.
    documents(&client, &["provision", "fleet", "none", "--json"]);
    assert_eq!(client.json(&["provision", "terminate", "none", "--json"])["instances"], 0);
    let (line, code) = client.complains(&["provision", "simulate", "--json", "--trace", "none.jsonl"]);
    assert_eq!((line.as_str(), code), ("--json: what is simulated is told as a table", Some(2)));
    up.stop();
}

#[test]
fn ids_and_times_are_documents_too() {
    let fixture = Fixture::empty();
    let told = |args: &[&str]| -> Value {
        let output = finish(alone(&fixture, args).spawn().unwrap());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let pair = json!({"slugid": "fN1SbArXTPSVFNUvaOlilA", "uuid": "7cdd526c-0ad7-4cf4-9514-d52f68e96294"});
    assert_eq!(told(&["slugid", "decode", "fN1SbArXTPSVFNUvaOlilA", "--json"]), pair);
    assert_eq!(told(&["slugid", "--json", "encode", "7cdd526c-0ad7-4cf4-9514-d52f68e96294"]), pair);
    assert!(told(&["slugid", "--json"])["slugid"].as_str().unwrap().parse::<taskcluster_core::TaskId>().is_ok());
    let time = told(&["from-now", "--json", "-1", "day"]);
    assert!(time["time"].as_str().unwrap().parse::<taskcluster_core::Timestamp>().is_ok(), "{time}");
    // What follows the duration is part of it.
    let output = finish(alone(&fixture, &["from-now", "1", "day", "--json"]).spawn().unwrap());
    assert!(complaint(&output).0.contains("'1 day --json' is not a relative time"), "{}", text(&output.stderr));
}
