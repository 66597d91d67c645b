//! The log of a run where much depends on it: on a machine that is lost, and when it is huge.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use harness::{Backend, Deployment, Options, Tester, built, program, soon, task, until};
use serde_json::json;
use taskcluster::queue::ArtifactContentResponse;
use taskcluster::time::minutes;
use taskcluster::{Clock, ManualClock, SystemClock, TaskId, TaskQueueId, object};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const QUEUE: &str = "test/native-log";
const LIVE_LOG: &str = "public/logs/live.log";
const BACKING_LOG: &str = "public/logs/live_backing.log";

/// The program `native-worker` on the machine of this test. Its log so far is uploaded each second.
struct Machine {
    worker: Child,
    folder: tempfile::TempDir,
}

impl Machine {
    fn start(program: &Path, deployment: &Deployment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = deployment.root().caller().credentials().unwrap();
        let mut worker = Command::new(program);
        worker.args(["run", "--task-queue-id", QUEUE, "--root-url", deployment.root_url(), "--log-interval", "1"]);
        worker.args(["--isolation", "none", "--client-id", &credentials.client_id, "--work-dir"]).arg(folder.path());
        worker.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_LOG", "warn");
        worker.env("NATIVE_WORKER_ACCESS_TOKEN", credentials.access_token.expose());
        let worker = worker.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        Self { worker, folder }
    }

    /// The most memory that it has ever had, in bytes.
    fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
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
        let mut machine = Machine::start(&worker, &deployment);
        let go = machine.folder.path().join("go");
        let script = format!("echo READY; while ! test -e {}; do sleep 0.05; done", go.display());
        let task_id = create(&root, &script).await;
        let kept = || async {
            let download = root.artifacts().download(&task_id, 0, BACKING_LOG);
            let log = download.to_memory(1_000_000).await.ok()?;
            Some(String::from_utf8(log.to_vec()).unwrap()).filter(|log| log.contains("READY\n"))
        };
        until(kept).await;
        machine.worker.kill().await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_log_of_one_line_that_is_no_text_takes_little_memory_whoever_reads() {
    let Some(worker) = built("native-worker") else { return };
    let is_long = std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some();
    let size: u64 = if is_long { 1 << 30 } else { 64 << 20 };
    let options = Options::on(Backend::Sqlite).with_claim_wait(Duration::from_secs(5));
    let deployment = soon(Deployment::start(options)).await.unwrap();
    let root = deployment.root();
    let mut machine = Machine::start(&worker, &deployment);
    let go = machine.folder.path().join("go");
    // It begins once there is a reader.
    let script =
        format!("while ! test -e {}; do sleep 0.05; done; head -c {size} /dev/zero | tr '\\0' '\\377'", go.display());
    let task_id = create(&root, &script).await;
    until(|| async { root.queue().artifact_info(&task_id, 0, LIVE_LOG).await.ok() }).await;
    let _stalled = stall(&root, &task_id).await;
    let live = root.artifacts().download(&task_id, 0, LIVE_LOG);
    std::fs::write(&go, "").unwrap();
    let mut nowhere = tokio::io::sink();
    let read = tokio::time::timeout(Duration::from_secs(1800), live.to_writer(&mut nowhere)).await;
    let read = read.expect("the log ends").unwrap();
    until(|| async { (root.state(&task_id).await == "completed").then_some(()) }).await;
    let kept = root.artifacts().download(&task_id, 0, BACKING_LOG).to_writer(&mut nowhere).await.unwrap();
    assert!(kept.length > size, "{kept:?}");
    assert_eq!((read.length, read.sha256), (kept.length, kept.sha256));
    let memory = machine.most_memory();
    println!("{} MiB of log by {} KiB of memory", size >> 20, memory >> 10);
    assert!(memory < MEMORY, "it had {memory} bytes of memory");
    machine.worker.kill().await.unwrap();
    deployment.stop().await;
}
