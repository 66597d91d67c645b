//! `taskcluster provision record`: what a deployment's tasks are to `simulate`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::deployment::{Up, interrupt};
use crate::fixture::{Fixture, PATIENCE, finish, text};

const WORKER_TYPE: &str = r#"
description: For the test.
owner: me@example.com
minCapacity: 0
maxCapacity: 2
scalingRatio: 0
lifecycle: {idleTime: 3}
provider:
  kind: local-process
  command: [taskcluster, native-worker, run, --isolation, none, --work-dir, work, --required-disk-space, "1000000"]
"#;

/// A recording under way.
struct Recorder {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Recorder {
    /// One that has said that it records.
    fn begin(client: &Client<'_>, args: &[&str]) -> Self {
        let mut child = client.command(&[&["provision", "record"], args].concat()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("are recorded; Ctrl-C") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self { child, stderr, said }
    }

    /// All that it says, and what it prints.
    fn end(mut self) -> (String, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = finish(self.child);
        assert_eq!(output.status.code(), Some(0), "{}", self.said);
        (self.said, text(output.stdout))
    }
}

/// Waits until a file has so many lines.
fn grown(file: &Path, lines: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(file).unwrap();
        if text.lines().count() >= lines {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_recorded_can_be_simulated() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    client.hears(&["provision", "define", "build"], WORKER_TYPE);
    let recorder = Recorder::begin(&client, &["build", "--output", "build.jsonl", "--boot", "5"]);
    for _ in 0..3 {
        client.create("local/build", "recorded", "true");
    }
    client.create("local/other", "of another queue", "true");
    let lines = grown(&fixture.folder().join("build.jsonl"), 4);
    assert_eq!(lines[0]["market"], json!([{"name": "worker", "capacity": 1, "price": 0.1}]));
    assert_eq!((&lines[0]["maxCapacity"], &lines[0]["boot"]["median"]), (&json!(2), &json!(5.0)));
    interrupt(recorder.child.id());
    let (said, _) = recorder.end();
    assert!(said.ends_with("note: 3 runs of tasks are recorded; 0 tasks had not ended and are left out\n"), "{said}");
    let simulated = client.says(&["provision", "simulate", "--trace", "build.jsonl", "--ratio", "0"]);
    assert!(simulated.starts_with("local/build: 3 tasks\n"), "{simulated}");
    client.says(&["provision", "terminate", "build"]);
    up.stop();
}

#[test]
fn a_recording_ends_by_itself_when_its_time_is_over() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let (said, printed) = Recorder::begin(&client, &["some/machines", "--for", "1 second"]).end();
    assert!(said.contains("there is no worker type machines"), "{said}");
    std::fs::write(fixture.folder().join("trace.jsonl"), &printed).unwrap();
    let simulated = client.says(&["provision", "simulate", "--trace", "trace.jsonl"]);
    assert!(simulated.starts_with("some/machines: 0 tasks\n"), "{simulated}");
    let (line, code) = client.complains(&["provision", "record", "machines", "--for", "soon"]);
    assert!(line.contains("--for") && code == Some(2), "{line}");
    up.stop();
}
