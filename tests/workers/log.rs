//! The log of a run where much depends on it: on a machine that is lost, and when it is huge.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Backend, Deployment, Machine, Options, Tester, built, program, soon, task, until};
use serde_json::json;
use taskcluster::queue::ArtifactContentResponse;
use taskcluster::time::minutes;
use taskcluster::{Clock, ManualClock, SystemClock, TaskId, TaskQueueId, object};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::docker;

const QUEUE: &str = "test/native-log";
const LIVE_LOG: &str = "public/logs/live.log";
const BACKING_LOG: &str = "public/logs/live_backing.log";

/// A worker without users for tasks, which uploads its log so far each second.
fn start(program: &Path, deployment: &Deployment, folder: &tempfile::TempDir) -> Machine {
    let arguments = ["--log-interval", "1", "--isolation", "none"];
    Machine::start(program, deployment, QUEUE, folder.path(), &arguments).unwrap()
}

async fn create(root: &Tester, script: &str) -> TaskId {
    let mut definition = task(root.now()).with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap()).with_retries(0);
    definition.payload = object! { "command": json!([["/bin/sh", "-c", script]]), "maxRunTime": 3600 };
    root.create(&definition).await
}

/// What `taskcluster task log` prints.
async fn printed(program: PathBuf, root: &Tester, task_id: &TaskId) -> String {
    let credentials = root.caller().credentials().unwrap();
    let mut command = Command::new(program);
    command.args(["task", "log", &task_id.to_string()]).stdin(Stdio::null());
    command.env("TASKCLUSTER_ROOT_URL", root.caller().root_url().as_str());
    command.env("TASKCLUSTER_CLIENT_ID", &credentials.client_id);
    command.env("TASKCLUSTER_ACCESS_TOKEN", credentials.access_token.expose());
    let output = soon(command.output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_lost_leaves_the_log_as_far_as_it_came() {
    let (Some(worker), Some(program)) = (built("native-worker"), program()) else { return };
    for backend in Backend::available() {
        let clock = ManualClock::at(SystemClock.now());
        let options = Options::on(backend).with_clock(clock.clone()).with_claim_wait(Duration::from_secs(5));
        let deployment = soon(Deployment::start(options)).await.unwrap();
        let root = deployment.root();
        let folder = tempfile::tempdir().unwrap();
        let machine = start(&worker, &deployment, &folder);
        let go = folder.path().join("go");
        let script = format!("echo READY; while ! test -e {}; do sleep 0.05; done", go.display());
        let task_id = create(&root, &script).await;
        let kept = || async {
            let download = root.artifacts().download(&task_id, 0, BACKING_LOG);
            let log = download.to_memory(1_000_000).await.ok()?;
            Some(String::from_utf8(log.to_vec()).unwrap()).filter(|log| log.contains("READY\n"))
        };
        until(kept).await;
        machine.kill().await.unwrap();
        // The task's own processes outlive it.
        std::fs::write(&go, "").unwrap();

        clock.advance(minutes(25));
        let over = || async {
            let status = root.status(&task_id).await;
            status.runs[0].reason_resolved.as_ref().map(|reason| reason.to_string())
        };
        assert_eq!(until(over).await, "claim-expired");
        assert!(kept().await.unwrap().ends_with(" the run went on from here\n"));
        let live = soon(root.queue().artifact_info(&task_id, 0, LIVE_LOG).into_future()).await.unwrap();
        assert_eq!(live.storage_type.as_str(), "reference", "nobody is left to make it a link");
        assert!(printed(program.clone(), &root, &task_id).await.contains("READY\n"));
        deployment.stop().await;
    }
}

/// A hundred who ask for the log of a run and then read nothing.
async fn stall(root: &Tester, task_id: &TaskId) -> Vec<TcpStream> {
    let content = soon(root.queue().artifact(task_id, 0, LIVE_LOG).into_future()).await.unwrap();
    let ArtifactContentResponse::Reference(reference) = content else { panic!("{content:?}") };
    let url: url::Url = reference.url.parse().unwrap();
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
        stream.write_all(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", url.path()).as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    stalled
}

/// More than all of it together may need, and far less than a log of any size.
const MEMORY: u64 = 64 << 20;

fn size_of_log() -> u64 {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 1 << 30 } else { 64 << 20 }
}

async fn deployment() -> Deployment {
    let options = Options::on(Backend::Sqlite).with_claim_wait(Duration::from_secs(5));
    soon(Deployment::start(options)).await.unwrap()
}

/// Let a task print that many bytes once `go` is called, and see that the log is there, while it is written and after, by little
/// memory of the worker.
async fn a_huge_log_takes_little_memory(machine: Machine, deployment: Deployment, task_id: TaskId, go: impl FnOnce()) {
    let (size, root) = (size_of_log(), deployment.root());
    until(|| async { root.queue().artifact_info(&task_id, 0, LIVE_LOG).await.ok() }).await;
    let _stalled = stall(&root, &task_id).await;
    let live = root.artifacts().download(&task_id, 0, LIVE_LOG);
    go();
    let mut nowhere = tokio::io::sink();
    let begun = Instant::now();
    let read = tokio::time::timeout(Duration::from_secs(1800), live.to_writer(&mut nowhere)).await;
    let (read, taken) = (read.expect("the log ends").unwrap(), begun.elapsed());
    until(|| async { (root.state(&task_id).await == "completed").then_some(()) }).await;
    let kept = root.artifacts().download(&task_id, 0, BACKING_LOG).to_writer(&mut nowhere).await.unwrap();
    assert!(kept.length > size, "{kept:?}");
    assert_eq!((read.length, read.sha256), (kept.length, kept.sha256));
    let memory = machine.most_memory().unwrap();
    println!("{} MiB of log in {taken:.1?} by {} KiB of memory", size >> 20, memory >> 10);
    assert!(memory < MEMORY, "it had {memory} bytes of memory");
    machine.kill().await.unwrap();
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_log_of_one_line_that_is_no_text_takes_little_memory_whoever_reads() {
    let Some(worker) = built("native-worker") else { return };
    let (deployment, folder) = (deployment().await, tempfile::tempdir().unwrap());
    let machine = start(&worker, &deployment, &folder);
    let (go, size) = (folder.path().join("go"), size_of_log());
    // It begins once there is a reader.
    let script =
        format!("while ! test -e {}; do sleep 0.05; done; head -c {size} /dev/zero | tr '\\0' '\\377'", go.display());
    let task_id = create(&deployment.root(), &script).await;
    a_huge_log_takes_little_memory(machine, deployment, task_id, || std::fs::write(&go, "").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_log_of_one_line_that_is_no_text_takes_little_memory_on_docker() {
    let (Some(there), Some(worker)) = (docker::find().await, built("docker-worker")) else { return };
    let (deployment, folder) = (deployment().await, tempfile::tempdir().unwrap());
    let arguments = ["--log-interval", "1", "--docker", &there.host];
    let machine = Machine::start(&worker, &deployment, QUEUE, folder.path(), &arguments).unwrap();
    let script = format!(
        "while ! test -e /cache/go; do sleep 0.05; done; head -c {} /dev/zero | tr '\\0' '\\377'",
        size_of_log()
    );
    let scopes = ["docker-worker:cache:go".to_owned()];
    let mut definition = task(deployment.root().now()).with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap());
    definition.payload = object! {
        "image": there.image,
        "command": ["/bin/sh", "-c", &script],
        "cache": json!({"go": "/cache"}),
        "maxRunTime": 3600,
    };
    let task_id = deployment.root().create(&definition.with_scopes(scopes)).await;
    // Where the cache of that name is.
    let go = folder.path().join("caches/go/0/go");
    a_huge_log_takes_little_memory(machine, deployment, task_id, || std::fs::write(&go, "").unwrap()).await;
}
