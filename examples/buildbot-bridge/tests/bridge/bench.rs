//! A master, a queue, and the program between them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use taskcluster::auth::CreateRoleRequest;
use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
use taskcluster::time::{days, hours};
use taskcluster::{TaskId, TaskQueueId, Taskcluster};
use taskcluster_core::Credentials;
use taskcluster_fake::Fake;
use tokio::process::{Child, Command};

use crate::master::{Master, PASSWORD, TIMEOUT, USERNAME};

const PROGRAM: &str = env!("CARGO_BIN_EXE_buildbot-bridge");
const QUEUE: &str = "test/buildbot";

/// What the bridge needs, as its README says.
const SCOPES: [&str; 6] = [
    "queue:claim-work:test/buildbot",
    "queue:worker-id:buildbot-bridge/buildbot-bridge",
    "queue:claim-task:test/buildbot",
    "queue:get-worker:test/buildbot/buildbot-bridge/buildbot-bridge",
    "queue:status:*",
    "queue:cancel-task:*",
];

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) tc: Taskcluster,
    pub(crate) master: Master,
    pub(crate) dir: tempfile::TempDir,
    credentials: Credentials,
}

impl Bench {
    pub(crate) async fn new() -> Option<Self> {
        Self::with(&SCOPES, Duration::from_secs(20 * 60)).await
    }

    /// One whose claims last so long.
    pub(crate) async fn with_claims_for(time: Duration) -> Option<Self> {
        Self::with(&SCOPES, time).await
    }

    /// One whose bridge may not cancel tasks.
    pub(crate) async fn without_cancelling() -> Option<Self> {
        Self::with(&SCOPES[..5], Duration::from_secs(20 * 60)).await
    }

    async fn with(scopes: &[&str], claim_timeout: Duration) -> Option<Self> {
        let master = Master::start().await?;
        let fake = Fake::builder().system_clock().claim_wait(Duration::from_secs(2)).claim_timeout(claim_timeout);
        let fake = fake.start().await.unwrap();
        let tc = fake.handle();
        let anybody = CreateRoleRequest::new("What anybody may.", ["queue:get-artifact:public/*"]);
        tc.auth().create_role("anonymous", &anybody).await.unwrap();
        let credentials = fake.client("project/bridge", scopes.iter().copied()).await.unwrap();
        Some(Self { fake, tc, master, dir: tempfile::tempdir().unwrap(), credentials })
    }

    /// The program at work.
    pub(crate) fn bridge(&self) -> Bridge {
        self.bridge_with(&[])
    }

    pub(crate) fn bridge_with(&self, arguments: &[&str]) -> Bridge {
        self.start(&self.master.url(), arguments, None)
    }

    /// The program at work, which finds the master elsewhere and trusts nothing but this certificate.
    pub(crate) fn bridge_by(&self, master: &str, certificate: &Path) -> Bridge {
        self.start(master, &[], Some(certificate))
    }

    fn start(&self, master: &str, arguments: &[&str], certificate: Option<&Path>) -> Bridge {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--root-url", self.fake.root_url(), "--task-queue-id", QUEUE]);
        command.args(["--client-id", &self.credentials.client_id, "--buildbot-url", master]);
        command.args(["--buildbot-username", USERNAME, "--restricted-builders", "restricted-*"]).args(arguments);
        command.arg("--work-dir").arg(self.dir.path().join("work")).env_clear();
        command.env("BUILDBOT_BRIDGE_ACCESS_TOKEN", self.credentials.access_token.expose());
        command
            .env("BUILDBOT_BRIDGE_BUILDBOT_PASSWORD", PASSWORD)
            .env("RUST_LOG", "info,taskcluster_buildbot_bridge=debug");
        command.envs(certificate.map(|path| ("SSL_CERT_FILE", path)));
        // However full the disk of this machine is.
        command.env("BUILDBOT_BRIDGE_REQUIRED_DISK_SPACE", "0");
        let out = std::fs::File::options().create(true).append(true).open(self.dir.path().join("bridge.log")).unwrap();
        Bridge(command.stdin(Stdio::null()).stderr(out).kill_on_drop(true).spawn().unwrap())
    }

    /// A task that runs a script.
    pub(crate) async fn script(&self, script: &str) -> TaskId {
        self.task(json!({"buildername": "script", "properties": {"script": script}}), &[]).await
    }

    pub(crate) async fn task(&self, payload: Value, scopes: &[&str]) -> TaskId {
        let now = self.fake.now();
        let metadata = TaskMetadata::new("a test", "of the bridge", "nobody@example.com", "https://example.com/");
        let Value::Object(payload) = payload else { panic!("a payload is an object") };
        let task = TaskDefinitionRequest::new(now, now + hours(1), payload, metadata)
            .with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap())
            .with_expires(now + days(1))
            .with_scopes(scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>());
        let task_id = TaskId::new();
        self.tc.queue().create_task(&task_id, &task).await.unwrap();
        task_id
    }

    /// Wait until a task is resolved; gives the reasons of all its runs.
    pub(crate) async fn resolved(&self, task_id: &TaskId) -> Vec<String> {
        self.until(|| async {
            let status = self.tc.queue().status(task_id).await.unwrap().status;
            let over = matches!(status.state.as_str(), "completed" | "failed" | "exception");
            let reason = |run: &taskcluster::queue::Run| {
                run.reason_resolved.as_ref().map_or("", |reason| reason.as_str()).to_owned()
            };
            over.then(|| status.runs.iter().map(reason).collect())
        })
        .await
    }

    /// Wait until the log of a run, as it grows, has this text.
    pub(crate) async fn printed(&self, task_id: &TaskId, run: u32, text: &str) {
        let log = self.dir.path().join(format!("work/runs/{task_id}_{run}/log"));
        self.until(|| async { std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text)).then_some(()) }).await;
    }

    /// The log of a run that has ended.
    pub(crate) async fn log(&self, task_id: &TaskId, run: u32) -> String {
        self.until(|| async {
            let artifacts = self.tc.artifacts();
            let log = artifacts.download(task_id, run, "public/logs/live_backing.log").to_memory(1_000_000).await;
            log.ok().map(|log| String::from_utf8(log.to_vec()).unwrap()).filter(|log| log.contains("=== Task Ends"))
        })
        .await
    }

    /// The properties that a run left.
    pub(crate) async fn properties(&self, task_id: &TaskId, run: u32) -> Value {
        let artifacts = self.tc.artifacts();
        let text = artifacts.download(task_id, run, "public/properties.json").to_memory(1_000_000).await.unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Ask again and again, until there is an answer.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, ask: impl Fn() -> F) -> T {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, asking).await.unwrap_or_else(|_| panic!("took too long: {}", self.own_log()))
    }

    /// Whether the program itself has said this, not a task's log.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.own_log().contains(text)
    }

    fn own_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("bridge.log")).unwrap_or_default()
    }

    /// A script that prints `READY`, and ends once the test [says so](Self::let_go), or its worker is gone.
    pub(crate) fn waiting(&self) -> String {
        let go = self.master.shared("go");
        format!(
            "echo READY; while [ ! -e {} ]; do kill -0 $PPID || exit 9; sleep 0.1; done; echo GONE ON",
            go.display()
        )
    }

    pub(crate) fn let_go(&self) {
        std::fs::write(self.master.shared("go"), "").unwrap();
    }
}

/// The program, ended with the test.
pub(crate) struct Bridge(Child);

impl Bridge {
    /// End it without warning.
    pub(crate) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Suspend it, as a machine does that sleeps.
    pub(crate) fn suspend(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Let it go on.
    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id().unwrap()).unwrap()).unwrap()
    }

    /// Tell it to go, and wait until it has gone.
    pub(crate) async fn terminate(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let status = tokio::time::timeout(TIMEOUT, self.0.wait()).await.expect("it goes").unwrap();
        assert!(status.success(), "{status}");
    }
}
