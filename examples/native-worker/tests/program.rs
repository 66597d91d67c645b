//! The program itself.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use taskcluster_core::TaskId;
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::task::AbortOnDropHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_native-worker");
const TIMEOUT: Duration = Duration::from_secs(180);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    // However full the disk of this machine is.
    command.env("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0");
    command
}

#[test]
fn the_schema_describes_the_payload() {
    let output = program(&["schema"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["required"], json!(["command", "maxRunTime"]));
    assert_eq!(schema["additionalProperties"], false);
    for property in ["command", "env", "maxRunTime", "artifacts", "mounts", "features", "onExitStatus"] {
        assert!(
            schema["properties"][property]["description"].is_string()
                || schema["properties"][property]["properties"].is_object(),
            "{property}: {schema:#}"
        );
    }
}

#[test]
fn a_configuration_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let check = || {
        let output = program(&["check", "--config", path.to_str().unwrap()]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let good =
        "root_url = 'https://tc.example.com'\ntask_queue_id = 'a/b'\nclient_id = 'c'\naccess_token = 'secret-token'\n";
    std::fs::write(&path, good).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check(), (true, String::new()));
    std::fs::write(&path, format!("{good}workergroup = 'g'\n")).unwrap();
    let (success, error) = check();
    assert!(!success && error.contains("\"worker_group\"") && !error.contains("secret-token"), "{error}");
    std::fs::write(&path, "root_url = 'https://tc.example.com'").unwrap();
    let (success, error) = check();
    assert!(!success && error.contains("task_queue_id is not set"), "{error}");
}

#[test]
fn credentials_that_tasks_could_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let text =
        "root_url = 'https://tc.example.com'\ntask_queue_id = 'a/b'\nclient_id = 'c'\naccess_token = 'secret-token'\n";
    for (isolation, mode, good) in [("user", 0o644, false), ("user", 0o600, true), ("none", 0o644, true)] {
        std::fs::write(&path, format!("{text}isolation = '{isolation}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = program(&["check", "--config", path.to_str().unwrap()]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), good, "{isolation} {mode:o}: {error}");
        assert_eq!(error.contains("chmod 600"), !good, "{error}");
    }
}

/// A certificate of a folder's own, and its key, which nobody else can read.
fn certify(dir: &std::path::Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["worker.example".to_owned()]).unwrap();
    let files = ["certificate.pem", "key.pem"].map(|name| dir.join(name));
    std::fs::write(&files[0], made.cert.pem()).unwrap();
    std::fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&files[1], std::fs::Permissions::from_mode(0o600)).unwrap();
    files.map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn a_key_that_tasks_could_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = certify(dir.path());
    let check = || {
        let mut check = program(&["check", "--root-url", "https://tc.example.com", "--task-queue-id", "a/b"]);
        check.args(["--client-id", "c", "--isolation", "user"]).env("NATIVE_WORKER_ACCESS_TOKEN", "secret-token");
        let output = check.args(["--live-log-certificate", &certificate, "--live-log-key", &key]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(), (true, String::new()));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (success, error) = check();
    assert!(!success && error.contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn live_logs_are_served_by_https_with_a_certificate() {
    let queue = FakeQueue::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = certify(dir.path());
    let payload = json!({"command": [["true"]], "maxRunTime": 60});
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    let tls = ["--live-log-certificate", &certificate, "--live-log-key", &key, "--task-limit", "1"];
    let (code, text) = run(&queue, &tls).await;
    assert_eq!((code, queue.state(&task_id).as_str()), (Some(0), "completed"), "{text}");
    let created = queue.request(&format!("artifacts/{}", LIVE_LOG.replace('/', "%2F"))).await;
    let created: Value = serde_json::from_slice(&created.body).unwrap();
    assert!(created["url"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{created}");
}

#[tokio::test]
async fn an_operator_can_forbid_what_tasks_may_otherwise_ask_for() {
    for (flag, asks, path) in [
        ("--allow-interactive", json!({"features": {"interactive": true}}), "features/interactive"),
        ("--allow-taskcluster-proxy", json!({"features": {"taskclusterProxy": true}}), "features/taskclusterProxy"),
        ("--allow-live-log", json!({"features": {"liveLog": true}}), "features/liveLog"),
        ("--allow-mounts", json!({"mounts": [{"file": "f", "content": {"raw": "x"}}]}), "mounts"),
    ] {
        let queue = FakeQueue::start().await.unwrap();
        let mut payload = json!({"command": [["true"]], "maxRunTime": 60});
        payload.as_object_mut().unwrap().extend(asks.as_object().unwrap().clone());
        let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
        let (code, text) = run(&queue, &[flag, "false", "--task-limit", "1"]).await;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(queue.state(&task_id), "exception malformed-payload", "{flag}: {text}");
        let log = queue.text(&task_id, BACKING_LOG);
        assert!(log.contains(&format!("payload/{path}: this worker does not offer it")), "{log}");
    }
}

#[tokio::test]
async fn tasks_are_told_on_what_machine_they_are() {
    let queue = FakeQueue::start().await.unwrap();
    let script = "echo \"ON $TASKCLUSTER_INSTANCE_TYPE AT $TASKCLUSTER_WORKER_LOCATION\"";
    let env = json!({"TASKCLUSTER_INSTANCE_TYPE": "a payload cannot say it"});
    let payload = json!({"command": [["/bin/sh", "-c", script]], "maxRunTime": 60, "env": env});
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    let location = r#"{"cloud":"a desk"}"#;
    let told = ["--instance-type", "large", "--worker-location", location, "--task-limit", "1"];
    let (code, text) = run(&queue, &told).await;
    assert_eq!(code, Some(0), "{text}");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains(&format!("ON large AT {location}\n")), "{log}");
}

/// The program at work in `dir`.
fn working(queue: &FakeQueue, dir: &tempfile::TempDir, arguments: &[&str]) -> tokio::process::Command {
    let mut worker = tokio::process::Command::from(program(&["run", "--task-queue-id", "test/worker"]));
    worker.args(["--root-url", queue.root_url(), "--isolation", "none", "--client-id", "worker"]);
    worker.args(["--work-dir", dir.path().to_str().unwrap()]).args(arguments);
    worker.env("NATIVE_WORKER_ACCESS_TOKEN", "the-token-of-the-worker").kill_on_drop(true);
    worker
}

/// What the program says from its start to its end, and its exit code.
async fn run(queue: &FakeQueue, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = working(queue, &dir, arguments).output();
    let output = tokio::time::timeout(TIMEOUT, output).await.expect("the program ends").unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("the-token-of-the-worker"), "{text}");
    (output.status.code(), text.replace(dir.path().to_str().unwrap(), "WORK_DIR"))
}

#[tokio::test]
async fn its_log_begins_with_what_it_works_for() {
    let queue = FakeQueue::start().await.unwrap();
    let (code, text) =
        run(&queue, &["--worker-group", "group", "--worker-id", "one", "--capacity", "3", "--idle-timeout", "1"]).await;
    assert_eq!(code, Some(0), "{text}");
    let first = text.lines().next().unwrap();
    for part in [
        "INFO",
        queue.root_url(),
        "task_queue.id=test/worker",
        "worker.group=\"group\"",
        "worker.id=\"one\"",
        "capacity=3",
        "work_dir=WORK_DIR",
    ] {
        assert!(first.contains(part), "{part}: {text}");
    }
    assert!(text.contains("isolation=none"), "{text}");
}

#[tokio::test]
async fn a_disk_that_is_too_full_is_named_and_nothing_claimed() {
    let (queue, dir, more_than_any) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap(), u64::MAX);
    let mut worker = working(&queue, &dir, &["--required-disk-space", &more_than_any.to_string()]);
    let mut worker = worker.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines();
    let named = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the program goes on");
            if line.contains("until there is room") {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(TIMEOUT, named).await.expect("it is said");
    assert!(line.contains(&format!("the disk of {}", dir.path().display())), "{line}");
    assert!(!queue.received().iter().any(|request| request.line.contains("/claim-work/")));
}

#[tokio::test]
async fn credentials_that_never_worked_end_the_program_with_what_to_check() {
    let queue = FakeQueue::start().await.unwrap();
    queue.fail_claims(401, u32::MAX);
    let (code, text) = run(&queue, &[]).await;
    assert_eq!(code, Some(1), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("check its client id and access token"), "{text}");
}

/// A task that says `READY`, and ends once there is a file `go` in its directory.
fn add_waiting(queue: &FakeQueue) -> TaskId {
    let script = "echo READY; while [ ! -e go ]; do sleep 0.05; done; echo GONE ON";
    let payload = json!({"command": [["/bin/sh", "-c", script]], "maxRunTime": 3600});
    queue.add_task(task_with_payload(payload.as_object().unwrap()))
}

/// Wait until a task has said `READY` to the worker in `dir`.
async fn ready(dir: &tempfile::TempDir, task_id: &TaskId) {
    let log = dir.path().join(format!("runs/{task_id}_0/log"));
    let ready = async {
        while !std::fs::read_to_string(&log).is_ok_and(|log| log.lines().any(|line| line == "READY")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, ready).await.expect("the task runs");
}

fn signal(worker: &tokio::process::Child, signal: Signal) {
    let Some(pid) = worker.id() else { return };
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn sigint_lets_the_task_end_and_then_ends_the_program() {
    let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
    let task_id = add_waiting(&queue);
    let mut worker = working(&queue, &dir, &[]).env("RUST_LOG", "warn").spawn().unwrap();
    ready(&dir, &task_id).await;
    signal(&worker, Signal::INT);
    std::fs::write(dir.path().join(format!("tasks/{task_id}_0/go")), "").unwrap();
    let status = tokio::time::timeout(TIMEOUT, worker.wait()).await.expect("the program ends").unwrap();
    assert!(status.success());
    assert_eq!(queue.state(&task_id), "completed");
    assert!(queue.text(&task_id, BACKING_LOG).contains("\nGONE ON\n"));
}

#[tokio::test]
async fn another_sigint_gives_the_task_back() {
    let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
    let task_id = add_waiting(&queue);
    let mut worker = working(&queue, &dir, &[]).env("RUST_LOG", "warn").spawn().unwrap();
    ready(&dir, &task_id).await;
    // Two that come at once are one to a process, so somebody who is impatient presses the keys until it has gone.
    let impatience = async {
        loop {
            signal(&worker, Signal::INT);
            if queue.state(&task_id) != "running" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, impatience).await.expect("the task is given back");
    let status = tokio::time::timeout(TIMEOUT, worker.wait()).await.expect("the program ends").unwrap();
    assert!(status.success());
    assert_eq!(queue.state(&task_id), "exception worker-shutdown");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("the run is stopped: the worker was interrupted (Ctrl-C)\n"), "{log}");
}

#[tokio::test]
async fn a_notice_of_the_cloud_gives_the_task_back_and_ends_the_program() {
    use axum::routing::{get, put};
    let taken = Arc::new(AtomicBool::new(false));
    let notice = taken.clone();
    let action = move || {
        let is_taken = notice.load(Ordering::SeqCst);
        let notice = r#"{"action": "terminate", "time": "2030-01-01T00:02:00Z"}"#;
        std::future::ready(if is_taken { Ok(notice) } else { Err(StatusCode::NOT_FOUND) })
    };
    let router = axum::Router::new()
        .route("/latest/api/token", put(|| std::future::ready("the-session")))
        .route("/latest/meta-data/spot/instance-action", get(action));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metadata = format!("http://{}", listener.local_addr().unwrap());
    #[allow(clippy::disallowed_methods, reason = "it ends with the handle")]
    let _server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await }));

    let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
    let task_id = add_waiting(&queue);
    let listening = ["--termination-notices", "ec2", "--metadata-url", &metadata];
    let mut worker = working(&queue, &dir, &listening).env("RUST_LOG", "error").spawn().unwrap();
    ready(&dir, &task_id).await;
    taken.store(true, Ordering::SeqCst);
    let status = tokio::time::timeout(TIMEOUT, worker.wait()).await.expect("the program ends").unwrap();
    assert!(status.success());
    assert_eq!(queue.state(&task_id), "exception worker-shutdown");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("the run is stopped: the cloud takes the machine away: "), "{log}");
}

#[tokio::test]
async fn sigterm_gives_the_task_back_and_ends_the_program() {
    let queue = FakeQueue::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let payload = json!({"command": [["/bin/sh", "-c", "cat /proc/$PPID/environ; echo; echo READY; while :; do sleep 1000; done"]], "maxRunTime": 3600});
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    let mut worker = working(&queue, &dir, &[]).env("RUST_LOG", "warn").spawn().unwrap();
    ready(&dir, &task_id).await;
    signal(&worker, Signal::TERM);
    let status = tokio::time::timeout(TIMEOUT, worker.wait()).await.expect("the program ends").unwrap();
    assert!(status.success());
    assert_eq!(queue.state(&task_id), "exception worker-shutdown");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("READY"));
    assert!(log.contains("[taskcluster:error] the run is stopped: the worker was told to go (SIGTERM)\n"), "{log}");
    // Root may look at everything, and without isolation its tasks are root.
    assert!(rustix::process::geteuid().is_root() || !log.contains("the-token-of-the-worker"), "{log}");
}
