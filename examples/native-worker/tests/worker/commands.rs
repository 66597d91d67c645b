//! What commands see and how their end is told.

use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn commands_run_in_order_in_a_directory_of_their_own() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "command": [
                ["/bin/sh", "-c", "echo one > file; pwd; echo to stderr >&2"],
                ["/bin/sh", "-c", "cat file; test \"$PWD\" = \"$TASK_WORKDIR\" && echo same"],
                ["/bin/sh", "-c", "exit 5"],
                ["/bin/sh", "-c", "echo never-comes"],
            ],
            "artifacts": [{"type": "file", "path": "file", "name": "public/file"}],
        }))
        .await;
    assert_eq!(state, "failed");
    let log = bench.log(&task_id);
    for part in ["to stderr\n", "one\n", "same\n", "[taskcluster:error] exit code 5"] {
        assert!(log.contains(part), "{part:?} is missing:\n{log}");
    }
    assert!(!log.lines().any(|line| line == "never-comes"), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "one\n");
    assert_eq!(std::fs::read_dir(bench.dir.path().join("work/tasks")).unwrap().count(), 0, "the directory is removed");
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_failed_and_says_why() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"command": [["/no/such/program"]]})).await;
    assert_eq!(state, "failed");
    let log = bench.log(&task_id);
    assert!(log.contains("could not be started: /no/such/program"), "{log}");
}

#[tokio::test]
async fn a_signal_is_told() {
    let bench = Bench::new().await;
    let task_id = bench.script("kill -9 $$");
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(bench.log(&task_id).contains("killed by signal 9"));
}

#[tokio::test]
async fn a_payload_without_commands_is_malformed() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"command": [[]], "image": "debian"})).await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    assert!(log.contains("payload/command/0") && log.contains("image"), "{log}");
}

#[tokio::test]
async fn a_mount_outside_of_the_directory_is_malformed() {
    let bench = Bench::new().await;
    let mount = |file: &str| json!({"file": file, "content": {"raw": "x"}});
    for file in ["../escape", "/etc/escape"] {
        let (_, state) = bench.resolve(json!({"command": [["true"]], "mounts": [mount(file)]})).await;
        assert_eq!(state, "exception malformed-payload", "{file}");
    }
    let (task_id, state) = bench.resolve(json!({"command": [["true"]], "mounts": [mount("a"), mount("a")]})).await;
    assert_eq!(state, "exception malformed-payload");
    assert!(bench.log(&task_id).contains("two mounts"));
}
