//! What people know from the official shell client, apart from what `by_hand.rs` has.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::client::{Client, alone, complaint};
use crate::deployment::Up;
use crate::fixture::{Fixture, finish, text};

/// Nobody serves it.
const QUEUE: &str = "nobody/none";

#[test]
fn who_is_asked_first_may_say_no() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "asked", "true");
    assert_eq!(client.hears(&["task", "cancel", "-c", &task], "what?\nn\n"), "nothing was done\n");
    assert_eq!(client.says(&["task", "status", &task]), "pending\nrun 0: pending\n");
    let (line, code) = client.complains(&["task", "cancel", "--confirm", &task]);
    assert_eq!((line.as_str(), code), ("nobody is there to be asked: without --confirm nobody is", Some(2)));
    assert_eq!(client.hears(&["task", "cancel", "-c", "-n", &task], ""), format!("would cancel {task}\n"));
    assert_eq!(client.hears(&["task", "cancel", "-c", &task], "y\n"), "exception\nrun 0: exception (canceled)\n");
    assert_eq!(client.hears(&["task", "rerun", "-c", &task], "No\n"), "nothing was done\n");
    assert_eq!(client.hears(&["task", "rerun", "-c", &task], "yes\n"), "pending\nrun 1: pending\n");
    assert_eq!(client.hears(&["group", "cancel", &task], "n\n"), "nothing was cancelled\n");
    assert_eq!(client.hears(&["group", "cancel", &task], "y\n"), format!("cancelled {task}\n"));
    up.stop();
}

#[test]
fn a_task_is_completed_by_hand() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "by hand", "true");
    assert_eq!(client.says(&["task", "complete", &task, "--noop"]), format!("would complete {task}\n"));
    let status = client.json(&["task", "complete", &task, "--json"]);
    let run = &status["runs"][0];
    assert_eq!((&status["state"], &run["state"]), (&json!("completed"), &json!("completed")), "{status}");
    assert_eq!((&run["workerGroup"], &run["workerId"]), (&json!("none"), &json!("taskcluster-cli")));
    let (line, code) = client.complains(&["task", "complete", &task]);
    assert!(line.ends_with("is completed: only what is pending can be completed"), "{line}");
    assert_eq!(code, Some(1));
    up.stop();
}

#[test]
fn a_command_becomes_a_task_as_docker_run_makes_a_container() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let queue = ["--provisioner", "nobody", "--worker-type", "none"];
    let run = [&["task", "run"], &queue[..], &["-e", "A=1", "-e", "B=2", "ubuntu:26.04", "--", "ls", "-l"]].concat();
    let task = client.says(&run).trim().to_owned();
    let definition = client.json(&["task", "def", &task]);
    assert_eq!(definition["taskQueueId"], QUEUE);
    assert_eq!(definition["metadata"]["name"], "Taskcluster-cli Task");
    let payload =
        json!({"image": "ubuntu:26.04", "command": ["ls", "-l"], "env": {"A": "1", "B": "2"}, "maxRunTime": 7200});
    assert_eq!(definition["payload"], payload);
    let odd = ["task", "run", "--provisioner", "nobody", "--worker-type", "no/ne", "ubuntu", "true"];
    let (line, code) = client.complains(&odd);
    assert!(line.starts_with("nobody/no/ne: "), "{line}");
    assert_eq!(code, Some(2));
    up.stop();
}

#[test]
fn a_group_is_shown_by_a_template_and_sealed() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "shown <so>", "true");
    let shown = |template: &str| client.says(&["group", "list", &task, "--format-string", template]);
    assert_eq!(
        shown("{{ .Task.Metadata.Name }}: {{.Status.State}} ({{ .Status.TaskGroupID }})"),
        format!("shown <so>: pending ({task})\n")
    );
    let output = finish(
        client.command(&["group", "list", &task, "--format-string", "{{ range .Status.Runs }}"]).spawn().unwrap(),
    );
    let said = text(&output.stderr);
    assert!(said.contains("only fields are understood") && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(2));
    let (line, code) = client.complains(&["group", "list", &task, "--format-string", "x", "--json"]);
    assert_eq!((line.as_str(), code), ("--json: --format-string says how tasks are told", Some(2)));

    let sealed = client.json(&["group", "seal", &task, "--json"]);
    assert!(sealed["taskGroupId"] == task.as_str() && sealed["sealed"].is_string(), "{sealed}");
    // Once more is no harm.
    let said = client.says(&["group", "seal", &task]);
    assert_eq!(said, format!("{task} is sealed since {}\n", sealed["sealed"].as_str().unwrap()));
    let definition = client.says(&["task", "def", &task]);
    let create = ["api", "queue", "createTask", "d0v6m6yoS-aFqLVbUnNe3A", "--body", &definition];
    assert!(client.complains(&create).0.contains("RequestConflict"), "the group takes no more");
    up.stop();
}

#[test]
fn an_object_is_downloaded_by_its_name() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let upload = json!({
        "projectId": "p", "uploadId": client.says(&["slugid"]).trim(), "expires": client.says(&["from-now", "1 hour"]).trim(),
        "proposedUploadMethods": {"dataInline": {"contentType": "text/plain", "objectData": "d2VsbA=="}},
    });
    let upload_id = upload["uploadId"].clone();
    client.hears(&["api", "object", "createUpload", "a/b"], &upload.to_string());
    let end = json!({"projectId": "p", "uploadId": upload_id});
    client.hears(&["api", "object", "finishUpload", "a/b"], &end.to_string());
    let told = client.json(&["download", "object", "a/b", "copy", "--json"]);
    assert_eq!((&told["name"], &told["length"]), (&json!("a/b"), &json!(4)), "{told}");
    assert_eq!(std::fs::read_to_string(fixture.folder().join("copy")).unwrap(), "well");
    assert_eq!(client.says(&["download", "object", "a/b", "-"]), "well");
    let (line, code) = client.complains(&["download", "object", "none", "copy"]);
    assert!(line.starts_with("object \"none\": ") && line.contains("(404)"), "{line}");
    assert_eq!(code, Some(1));
    up.stop();
}

#[test]
fn what_needs_no_deployment() {
    let fixture = Fixture::empty();
    let says = |args: &[&str]| {
        let mut command = alone(&fixture, args);
        command.env("TASKCLUSTER_ROOT_URL", "https://tc.example").env("TASKCLUSTER_ACCESS_TOKEN", "hunter2");
        let output = finish(command.spawn().unwrap());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(output.stdout)
    };
    let number = says(&["version", "-s"]);
    assert_eq!(says(&["version"]), format!("taskcluster version {number}"));
    assert_eq!(says(&["completions", "bash", "completion.sh"]), "");
    assert_eq!(
        std::fs::read_to_string(fixture.folder().join("completion.sh")).unwrap(),
        says(&["completions", "bash"])
    );

    let shown: Value = serde_json::from_str(&says(&["config", "--format", "json"])).unwrap();
    let expected =
        json!({"rootUrl": "https://tc.example", "clientId": null, "accessToken": "(set)", "certificate": null});
    assert_eq!(shown["config"], expected);
    assert_eq!(says(&["config", "get", "config.rootUrl"]), "https://tc.example\n");
    assert_eq!(says(&["config", "clientId", "-f", "json", "-o", "file"]), "");
    assert_eq!(std::fs::read_to_string(fixture.folder().join("file")).unwrap(), "null\n");
    for (args, why) in [
        (&["config", "set", "config.rootUrl", "x"][..], "options are variables, which only your shell can set"),
        (&["config", "get", "color"], "there is no option \"color\", only rootUrl, clientId, accessToken, certificate"),
    ] {
        let (line, code) = complaint(&finish(alone(&fixture, args).spawn().unwrap()));
        assert_eq!((line.as_str(), code), (why, Some(2)));
    }
}

#[test]
fn verbose_shows_the_calls() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let task = client.create(QUEUE, "seen", "true");
    let stderr = |args: &[&str]| {
        let output = finish(client.command(args).stdin(Stdio::null()).spawn().unwrap());
        assert_eq!(output.status.code(), Some(0));
        text(output.stderr)
    };
    assert_eq!(stderr(&["task", "name", &task]), "");
    let said = stderr(&["task", "name", &task, "-v"]);
    assert!(said.contains("call answered") && said.contains("method=\"task\""), "{said}");
    up.stop();
}
