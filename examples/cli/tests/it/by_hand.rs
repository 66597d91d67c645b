//! What people do with tasks from a shell: `task`, `group`, `download`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use crate::client::Client;
use crate::deployment::Up;
use crate::fixture::{Fixture, finish, text};

const QUEUE: &str = "local/native";

#[test]
fn a_log_is_followed_while_the_task_runs_and_read_when_it_has_ended() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    let gate = fixture.folder().join("gate");
    // It ends when this test says so.
    let script = format!(
        "echo begun-$((20 + 3)); while [ ! -e {} ]; do sleep 0.1; done; echo ended-$((40 + 2))",
        gate.display()
    );
    let task = client.create(QUEUE, "slow", &script);
    let mut child = client.command(&["task", "log", "-f", &task]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "begun-23"), "it begins");
    assert_eq!(client.says(&["task", "status", &task]).lines().next(), Some("running"));
    std::fs::write(&gate, "").unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line == "ended-42"), "{rest:?}");
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let log = client.says(&["task", "log", &task]);
    assert_eq!(client.says(&["task", "log", "--follow", &task]), log);
    assert!(log.contains("\nbegun-23\n") && log.contains("\nended-42\n"), "{log}");
    up.stop();
}

/// A worker may serve the log of what it runs where not everybody reaches it.
#[test]
fn a_log_that_cannot_be_had_is_told_and_waited_for_while_the_task_runs() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create("nobody/none", "far away", "true");
    let claim = r#"{"tasks": 1, "workerGroup": "far", "workerId": "away"}"#;
    let claimed = client.json(&["api", "queue", "claimWork", "nobody/none", "--body", claim]);
    assert_eq!(claimed["tasks"][0]["status"]["taskId"], task.as_str());
    let log = serde_json::json!({
        "storageType": "reference", "url": "http://127.0.0.1:9/log", "contentType": "text/plain",
        "expires": client.says(&["from-now", "1 hour"]).trim(),
    });
    let name = "public/logs/live.log";
    client.hears(&["api", "queue", "createArtifact", &task, "0", name], &log.to_string());

    let mut child = client.command(&["task", "log", &task]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut note = String::new();
    stderr.read_line(&mut note).unwrap();
    assert!(
        note.starts_with("note: the log cannot be read: ") && note.ends_with(": waiting for the end of the run\n"),
        "{note}"
    );
    client.says(&["api", "queue", "reportCompleted", &task, "0"]);
    let lines = stderr.lines().map_while(Result::ok);
    let errors: Vec<String> = lines.filter(|line| !line.starts_with("note: ")).collect();
    assert!(errors.len() == 1 && errors[0].starts_with("error: the log cannot be read: "), "{errors:?}");
    assert_eq!(finish(child).status.code(), Some(1));
    up.stop();
}

#[test]
fn a_task_is_looked_at_run_again_and_what_it_left_is_downloaded() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "broken", "echo it broke; exit 3");
    let log = client.says(&["task", "log", &task]);
    assert!(log.contains("\nit broke\n"), "{log}");
    until(|| client.says(&["task", "status", &task]).starts_with("failed\nrun 0: failed, by "));
    assert_eq!(client.says(&["task", "name", &task]), "broken\n");
    assert_eq!(client.says(&["task", "group", &task]), format!("{task}\n"));
    assert_eq!(client.json(&["task", "def", &task])["metadata"]["name"], "broken");
    let artifacts = client.says(&["task", "artifacts", &task]);
    assert!(artifacts.lines().any(|name| name == "public/logs/live_backing.log"), "{artifacts}");

    client.says(&["download", "artifact", &task, "public/logs/live_backing.log"]);
    let saved = std::fs::read_to_string(fixture.folder().join("live_backing.log")).unwrap();
    assert!(saved.contains("\nit broke\n"), "{saved}");
    assert_eq!(client.says(&["download", "artifact", &task, "0", "public/logs/live_backing.log", "-"]), saved);
    let (line, code) = client.complains(&["download", "artifact", &task, "public/none"]);
    assert!(line.contains("public/none") && line.contains("(404)"), "{line}");
    assert_eq!(code, Some(1));

    assert_eq!(client.says(&["task", "rerun", &task, "--noop"]), format!("would run {task} once more\n"));
    client.says(&["task", "rerun", &task]);
    until(|| {
        client.says(&["task", "status", &task, "--all-runs"]).lines().any(|line| line.starts_with("run 1: failed"))
    });
    assert!(client.says(&["task", "status", &task, "--run", "0"]).contains("run 0: failed"));
    let (line, code) = client.complains(&["task", "status", &task, "--run", "7"]);
    assert!(line.ends_with("has no run 7"), "{line}");
    assert_eq!(code, Some(1));
    up.stop();
}

#[test]
fn a_download_that_is_stopped_leaves_nothing_behind() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    // A server that never comes to the end.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf").unwrap();
            held.push(stream);
        }
    });
    let task = client.create("nobody/none", "half", "true");
    client.hears(&["api", "queue", "claimWork", "nobody/none"], r#"{"tasks": 1, "workerGroup": "g", "workerId": "w"}"#);
    let artifact = serde_json::json!({
        "storageType": "reference", "url": url, "contentType": "text/plain",
        "expires": client.json(&["task", "def", &task])["expires"],
    });
    client.hears(&["api", "queue", "createArtifact", &task, "0", "public/half"], &artifact.to_string());
    let folder = fixture.folder().join("downloads");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("half");
    let child =
        client.command(&["download", "artifact", &task, "public/half", file.to_str().unwrap()]).spawn().unwrap();
    let left = || {
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect::<Vec<_>>()
    };
    until(|| left().len() == 1);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(finish(child).status.code(), Some(130));
    assert_eq!(left(), [0; 0]);
    up.stop();
}

#[test]
fn a_group_is_listed_counted_and_cancelled() {
    let fixture = Fixture::empty();
    // Nobody serves this queue.
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create("nobody/none", "lonely", "true");
    assert_eq!(client.says(&["group", "list", &task]), format!("{task} lonely pending\n"));
    assert_eq!(client.says(&["group", "list", &task, "--failed"]), "");
    assert_eq!(client.says(&["group", "list", &task, "--failed", "--pending"]), format!("{task} lonely pending\n"));
    assert_eq!(client.says(&["group", "status", &task]), "pending: 1\n");
    let (line, code) = client.complains(&["group", "cancel", &task]);
    assert!(line.contains("--force"), "{line}");
    assert_eq!(code, Some(2));
    assert_eq!(client.says(&["group", "cancel", &task, "--force", "--worker-type", "other"]), "nothing to cancel\n");
    assert_eq!(client.says(&["group", "cancel", &task, "--force"]), format!("cancelled {task}\n"));
    assert_eq!(client.says(&["group", "status", &task]), "exception: 1\n");
    assert_eq!(client.says(&["task", "status", &task]), "exception\nrun 0: exception (canceled)\n");
    let (line, code) = client.complains(&["task", "log", &task]);
    assert!(line.ends_with("was never run: there is no log"), "{line}");
    assert_eq!(code, Some(1));
    let other = client.says(&["task", "retrigger", &task]).trim().to_owned();
    assert_ne!(other, task);
    assert_eq!(client.says(&["task", "name", &other]), "lonely\n");
    assert_eq!(client.says(&["task", "cancel", &other]), "exception\nrun 0: exception (canceled)\n");
    up.stop();
}

#[test]
fn a_graph_is_submitted_looked_at_cancelled_and_run_again() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let [build, test] = ["fN1SbArXTPSVFNUvaOlinQ", "d0v6m6yoS-aFqLVbUnNe3A"];
    let node = |id: &str, name: &str, requires: &str| {
        format!(
            "  - taskId: {id}\n    requires: [{requires}]\n    task:\n      taskQueueId: nobody/none\n      payload: {{}}\n      \
             metadata: {{name: {name}, description: One., owner: me@example.com, source: https://example.com}}\n"
        )
    };
    let graph = format!(
        "scopes: ['*']\nroutes: [my.graphs]\ntags: {{kind: small}}\n\
         metadata: {{name: two, description: Two., owner: me@example.com, source: https://example.com}}\n\
         tasks:\n{}{}",
        node(build, "build", ""),
        node(test, "test", build)
    );
    let id = client.hears(&["graph", "submit"], &graph).trim().to_owned();
    assert_eq!(client.says(&["graph", "status", &id]), "running\n");
    assert_eq!(
        client.says(&["graph", "list", "--tag", "kind=small", "--route", "my.graphs"]),
        format!("{id} running two\n")
    );
    assert_eq!(client.says(&["graph", "list", "--state", "finished"]), "");
    let (line, code) = client.complains(&["graph", "list", "--tag", "kind"]);
    assert!(line.contains("NAME=VALUE") && code == Some(2), "{line}");
    let again = ["graph", "submit", "--id", &id];
    assert_eq!(client.hears(&again, &graph).trim(), id, "the same again changes nothing, though times are filled in");
    let more = "L5XlVm0KTZuBaLQKSAYbwg";
    let extended = client.hears(&["graph", "extend", &id], &format!("tasks:\n{}", node(more, "more", build)));
    assert_eq!(extended, "running\n");
    until(|| client.says(&["task", "status", build]).starts_with("pending"));
    assert_eq!(
        client.says(&["graph", "tasks", &id]),
        format!(
            "{more} more unscheduled waits for 1 task\n{test} test unscheduled waits for 1 task\n{build} build scheduled\n"
        )
    );
    assert!(client.says(&["graph", "draw", &id]).starts_with("flowchart LR\n"));
    assert!(client.says(&["graph", "draw", &id, "--graphviz"]).starts_with("digraph "));
    client.says(&["graph", "cancel", &id]);
    until(|| client.says(&["graph", "status", &id]) == "blocked\n");
    until(|| !client.says(&["graph", "tasks", &id]).contains("scheduled"));
    assert_eq!(client.says(&["graph", "rerun", &id]), format!("{more}\n{test}\n{build}\n"));
    until(|| client.says(&["task", "status", build]).starts_with("pending"));
    assert_eq!(client.says(&["graph", "rerun", &id, build]), "", "it runs already");
    let file = fixture.folder().join("graph.yml");
    std::fs::write(&file, "tasks: {}").unwrap();
    let (line, code) = client.complains(&["graph", "submit", file.to_str().unwrap()]);
    assert!(line.contains("`tasks`"), "{line}");
    assert_eq!(code, Some(2));
    up.stop();
}

/// Asks again until it is so.
fn until(is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::fixture::PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it never is");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

const DEFINITION: &str = "\
taskQueueId: local/native
metadata: {name: made by hand, description: It ends., owner: me@example.com, source: https://example.com}
payload:
  command: [[sh, -c, exit STATUS]]
  maxRunTime: 60
";

#[test]
fn a_task_is_created_from_a_file_and_watched_to_its_end() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.hears(&["task", "create"], &DEFINITION.replace("STATUS", "0")).trim().to_owned();
    let seen = client.says(&["task", "watch", &task]);
    assert!(seen.lines().last().unwrap().starts_with("run 0: completed, by local/"), "{seen}");

    let file = fixture.folder().join("task.yml");
    std::fs::write(&file, DEFINITION.replace("STATUS", "3")).unwrap();
    let id = client.says(&["slugid"]).trim().to_owned();
    let create = ["task", "create", file.to_str().unwrap(), "--id", &id, "--deadline", "2 hours"];
    assert_eq!(client.says(&create).trim(), id);
    assert_eq!(client.says(&create).trim(), id, "the same again changes nothing, though times are filled in");
    let output = finish(client.command(&["task", "watch", &id]).spawn().unwrap());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));

    let many: Vec<String> = (0..10_001).map(|_| taskcluster_core::TaskId::new().to_string()).collect();
    std::fs::write(&file, format!("{}\ndependencies: {many:?}\n", DEFINITION.replace("STATUS", "0"))).unwrap();
    let (line, code) = client.complains(&["task", "create", file.to_str().unwrap()]);
    assert!(code == Some(2) && line.ends_with("it has 10001 dependencies, and the queue takes 10000"), "{line}");

    let (line, code) = client.complains(&["task", "create", "none.yml"]);
    assert!(code == Some(2) && line.contains("none.yml: it cannot be read"), "{line}");
    up.stop();
}

#[test]
fn a_file_becomes_an_artifact() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create("nobody/none", "report", "true");
    client.hears(&["api", "queue", "claimWork", "nobody/none"], r#"{"tasks": 1, "workerGroup": "g", "workerId": "w"}"#);
    let file = fixture.folder().join("report.html");
    std::fs::write(&file, "<p>well").unwrap();
    let run = ["--task", &task, "--run", "0"];
    let put = |more: &[&str], input: &str| client.hears(&[&["artifact", "put"], more, &run].concat(), input);
    put(&["public/report.html", file.to_str().unwrap()], "");
    put(&["public/said", "-", "--expires", "1 hour"], "said");
    put(&["public/small", file.to_str().unwrap(), "--gzip"], "");
    let list = client.json(&["api", "queue", "listLatestArtifacts", &task]);
    assert_eq!(list["artifacts"][0]["contentType"], "text/html; charset=utf-8", "{list}");
    assert_eq!(client.says(&["artifact", "list", &task]), "public/report.html\npublic/said\npublic/small\n");
    assert_eq!(client.says(&["artifact", "get", &task, "public/report.html", "-"]), "<p>well");
    assert_eq!(client.says(&["artifact", "get", &task, "0", "public/said", "-"]), "said");
    // As browsers do it; or as it is stored.
    assert_eq!(client.says(&["artifact", "get", &task, "public/small", "-"]), "<p>well");
    client.says(&["artifact", "get", &task, "public/small", "small"]);
    assert_eq!(std::fs::read(fixture.folder().join("small")).unwrap(), b"<p>well");
    let packed = fixture.folder().join("packed");
    client.says(&["artifact", "get", "--raw", &task, "public/small", packed.to_str().unwrap()]);
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(&packed).unwrap()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, "<p>well");
    let (line, code) = client.complains(&["artifact", "put", "public/x", "none", "--task", &task, "--run", "0"]);
    assert!(code == Some(2) && line.contains("cannot read none"), "{line}");
    up.stop();
}
