//! The program, with the example of its README and with scripts of the tests' own, against a queue over HTTP.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::TaskId;
use taskcluster_worker::plugins::BACKING_LOG;
use taskcluster_worker::testing::{FakeQueue, task_with_payload};

const PROGRAM: &str = env!("CARGO_BIN_EXE_script-worker");
const TIMEOUT: Duration = Duration::from_secs(180);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    // However full the disk of this machine is.
    command.env("SCRIPT_WORKER_REQUIRED_DISK_SPACE", "0");
    command
}

/// The example at work on one task with this payload; gives the task's state, and what the program said.
async fn example(queue: &FakeQueue, payload: Value) -> (TaskId, String) {
    work(queue, payload, &["--config", "example/script-worker.toml"]).await
}

async fn work(queue: &FakeQueue, payload: Value, arguments: &[&str]) -> (TaskId, String) {
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    let dir = tempfile::tempdir().unwrap();
    let mut worker = tokio::process::Command::from(program(&["run", "--task-queue-id", "test/worker"]));
    worker.args(["--root-url", queue.root_url(), "--isolation", "none", "--client-id", "worker", "--task-limit", "1"]);
    worker.args(["--work-dir", dir.path().to_str().unwrap()]).args(arguments);
    worker.env("SCRIPT_WORKER_ACCESS_TOKEN", "the-token-of-the-worker").kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, worker.output()).await.expect("the program ends").unwrap();
    (task_id, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_script_and_a_schema_are_a_worker() {
    let queue = FakeQueue::start().await.unwrap();
    let (task_id, said) = example(&queue, json!({"greet": "world", "maxRunTime": 60})).await;
    assert_eq!(queue.state(&task_id), "completed", "{said}");
    assert_eq!(queue.text(&task_id, "public/greeting.txt"), "Hello, world!\n");
    assert!(queue.text(&task_id, BACKING_LOG).contains("\nHello, world!\n"));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_the_schema_never_reaches_the_script() {
    let queue = FakeQueue::start().await.unwrap();
    let payload = json!({"greet": 7, "env": {"LD_PRELOAD": "/tmp/evil"}, "maxRunTime": 60});
    let (task_id, said) = example(&queue, payload).await;
    assert_eq!(queue.state(&task_id), "exception malformed-payload", "{said}");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("payload/greet") && log.contains("'env'") && !log.contains("Hello"), "{log}");
}

#[tokio::test]
async fn an_exit_code_says_how_the_run_ends() {
    let queue = FakeQueue::start().await.unwrap();
    for (code, state) in [
        (1, "failed"),
        (2, "exception worker-shutdown"),
        (3, "exception malformed-payload"),
        (4, "exception worker-shutdown"),
        (5, "exception internal-error"),
        (6, "failed"),
        (7, "exception intermittent-task"),
        (200, "failed"),
    ] {
        let script = format!("echo kept > artifacts/public/kept; echo secret > artifacts/private/kept; exit {code}");
        let command = ["--schema", "example/schema.json", "--command", "/bin/sh", "-c", &script];
        let (task_id, said) = work(&queue, json!({"greet": "you", "maxRunTime": 60}), &command).await;
        assert_eq!(queue.state(&task_id), state, "{code}: {said}");
        assert_eq!(queue.text(&task_id, "public/kept"), "kept\n", "{code}");
        assert_eq!(queue.text(&task_id, "private/kept"), "secret\n", "{code}");
        assert!(queue.text(&task_id, BACKING_LOG).contains(&format!("exit code {code}")), "{code}");
    }
}

#[tokio::test]
async fn a_script_that_says_nothing_is_ended() {
    let queue = FakeQueue::start().await.unwrap();
    let command = ["--max-silence", "1", "--schema", "example/schema.json", "--command", "/bin/sh", "-c", "sleep 1000"];
    for payload in
        [json!({"greet": "you", "maxRunTime": 600}), json!({"greet": "you", "maxRunTime": 600, "maxSilence": 2})]
    {
        let (task_id, said) = work(&queue, payload, &command).await;
        assert_eq!(queue.state(&task_id), "failed", "{said}");
        let log = queue.text(&task_id, BACKING_LOG);
        assert!(log.contains("printed nothing"), "{log}");
    }
}

/// A machine on which any memory in use is too much: the guard looks, and ends what there is.
#[tokio::test]
async fn a_script_that_takes_the_machines_memory_is_ended() {
    let queue = FakeQueue::start().await.unwrap();
    let most = u64::MAX.to_string();
    let command = [
        "--max-memory-percent",
        "0",
        "--min-available-memory",
        &most,
        "--memory-patience",
        "1",
        "--schema",
        "example/schema.json",
        "--command",
        "/bin/sh",
        "-c",
        "sleep 1000",
    ];
    let (task_id, said) = work(&queue, json!({"greet": "you", "maxRunTime": 600}), &command).await;
    assert_eq!(queue.state(&task_id), "failed", "{said}");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("the machine runs out of memory"), "{log}");
}

#[tokio::test]
async fn a_script_finds_payload_and_definition_in_its_directory() {
    let queue = FakeQueue::start().await.unwrap();
    let script = r#"cp payload.json task.json artifacts/public; echo "$TASK_ID/$RUN_ID" > artifacts/public/id"#;
    let command = ["--schema", "example/schema.json", "--command", "/bin/sh", "-c", script];
    let payload = json!({"greet": "Zoë \"the\" $(rm -rf /)\n", "maxRunTime": 60});
    let (task_id, said) = work(&queue, payload.clone(), &command).await;
    assert_eq!(queue.state(&task_id), "completed", "{said}");
    let json = |name: &str| -> Value { serde_json::from_str(&queue.text(&task_id, name)).unwrap() };
    assert_eq!(json("public/payload.json"), payload);
    assert_eq!(json("public/task.json")["metadata"]["name"], "a task");
    assert_eq!(queue.text(&task_id, "public/id"), format!("{task_id}/0\n"));
}

#[test]
fn its_schema_is_that_of_the_file_with_what_every_worker_has() {
    let output = program(&["schema", "--schema", "example/schema.json"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["required"], json!(["greet", "maxRunTime"]));
    assert_eq!(schema["properties"]["greet"]["maxLength"], 100);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn a_task_runs_on_a_desk() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.yml");
    std::fs::write(&file, "payload: {greet: desk, maxRunTime: 60}").unwrap();
    let mut run =
        program(&["run-local", "--config", "example/script-worker.toml", "--isolation", "none", "--artifacts"]);
    let output = run.arg(dir.path().join("out")).arg(&file).env("XDG_CACHE_HOME", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let greeting = std::fs::read_to_string(dir.path().join("out/public/greeting.txt")).unwrap();
    assert_eq!(greeting, "Hello, desk!\n");
}

#[test]
fn a_configuration_that_makes_no_worker_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let schema = dir.path().join("schema.json");
    let check = |schema: &Path, command: &str| {
        let mut check = program(&["check", "--root-url", "https://tc.example", "--task-queue-id", "a/b"]);
        check.args(["--client-id", "c"]).env("SCRIPT_WORKER_ACCESS_TOKEN", "t").arg("--schema").arg(schema);
        let output = check.args(["--command", command]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let good = Path::new("example/schema.json");
    assert_eq!(check(good, "example/greet"), "");
    assert!(check(good, "example/none").contains("there is no example/none"));
    for (text, problem) in [
        ("{", "cannot use the schema"),
        (r#"{"type": "string"}"#, "\"object\""),
        (r#"{"properties": {"a": {"type": "nothing"}}}"#, "schema cannot be a payload's"),
        (r#"{"properties": {"maxRunTime": {"type": "integer"}}}"#, "maxRunTime"),
    ] {
        std::fs::write(&schema, text).unwrap();
        let said = check(&schema, "example/greet");
        assert!(said.contains(problem), "{text}: {said}");
    }
}
