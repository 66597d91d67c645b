//! Two provisioners beside each other at one queue: that of `taskcluster up`, and one that is a process of its own, with an identifier, a
//! client and a database of its own. Both start real workers.
//!
//! Tasks move from one to the other by the name of their task queue alone. Neither touches what is the other's, and when one ends, the
//! other's work goes on, as does what its own workers have begun.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::TryStreamExt as _;
use harness::{Ground, Process, Tester, built, program, soon, task, until};
use rustix::process::{Pid, Signal, kill_process};
use taskcluster::auth::CreateClientRequest;
use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider, WorkerLifecycle};
use taskcluster::time::hours;
use taskcluster::{Caller, Credentials, RetryPolicy, TaskId, TaskQueueId};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::provisioner::{left_in, processes_in};

/// The client of the second one.
const CLIENT: &str = "second-provisioner";

/// What it must be allowed, and no more: the provisioner's README names the same.
const SCOPES: [&str; 14] = [
    "queue:pending-count:second/*",
    "queue:pending-list:second/*",
    "queue:claimed-count:second/*",
    "queue:claimed-list:second/*",
    "queue:list-workers:second/*",
    "queue:claim-work:second/*",
    "queue:claim-task:second/*",
    "queue:worker-id:local-process/*",
    "queue:get-worker:second/*",
    "queue:quarantine-worker:second/*",
    "purge-cache:purge-requests::second/*",
    "provisioner:should-terminate:*",
    "auth:current-scopes",
    "assume:worker-type:second/*",
];

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The second provisioner. What it started is killed with it when this is dropped.
struct Second {
    program: PathBuf,
    /// Where the queue is.
    root_url: String,
    port: u16,
    token: String,
    folder: TempDir,
    child: Option<Child>,
}

impl Second {
    async fn start(program: PathBuf, root: &Tester) -> Self {
        let client = CreateClientRequest::new("The second provisioner.", root.now() + hours(24)).with_scopes(SCOPES);
        let made = soon(root.auth().create_client(CLIENT, &client).into_future()).await.unwrap();
        let root_url = root.caller().root_url().to_string();
        let folder = tempfile::tempdir().unwrap();
        let token = made.access_token.expose().to_owned();
        let mut second = Self { program, root_url, port: free_port(), token, folder, child: None };
        let word = harness::program().unwrap();
        let config = format!("process_folder = {:?}\n[programs]\ntaskcluster = {word:?}\n", second.processes());
        std::fs::write(second.folder.path().join("second.toml"), config).unwrap();
        second.restart().await;
        second
    }

    /// As the README has it.
    async fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if ["TASKCLUSTER_", "TC_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let listen = format!("127.0.0.1:{}", self.port);
        command.args(["serve", "--config", "second.toml", "--database", "sqlite:second.db"]);
        command.args(["--root-url", &self.root_url, "--listen", &listen, "--public-url", &format!("http://{listen}")]);
        command.args(["--provisioner-id", "second", "--client-id", CLIENT]);
        command.env("TC_PROVISIONER_ACCESS_TOKEN", &self.token).current_dir(self.folder.path());
        self.child = Some(command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap());
        let tester = self.tester(None);
        until(|| async { tester.provisioner().ping().await.ok() }).await;
    }

    /// Where its processes are.
    fn processes(&self) -> PathBuf {
        self.folder.path().join("processes")
    }

    /// Somebody who speaks to it.
    fn tester(&self, credentials: Option<Credentials>) -> Tester {
        let caller = Caller::builder(format!("http://127.0.0.1:{}", self.port)).credentials(credentials);
        Tester::new(caller.retry(RetryPolicy::never()).build().unwrap())
    }

    async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
        assert!(soon(child.wait()).await.unwrap().success());
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        end_all(&self.processes());
    }
}

/// Ends what a test that failed has left running.
fn end_all(folder: &Path) {
    for number in processes_in(folder).into_keys() {
        if let Some(process) = i32::try_from(number).ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// Workers that live, each with the number of its process, which it has written down in its folder.
fn workers_in(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let living = processes_in(folder);
    let number = |folder: &PathBuf| {
        let identity = std::fs::read_to_string(folder.join("identity")).ok()?;
        identity.split(' ').next()?.trim().parse::<u32>().ok()
    };
    let workers = left_in(folder).into_iter().filter_map(|folder| Some((number(&folder)?, folder)));
    workers.filter(|(number, _)| living.contains_key(number)).map(|(number, folder)| (folder, number)).collect()
}

/// That all of these still live, whoever has come to them.
fn go_on(before: &BTreeMap<PathBuf, u32>, folder: &Path) -> bool {
    let now = workers_in(folder);
    !before.is_empty() && before.iter().all(|(folder, number)| now.get(folder) == Some(number))
}

/// Both of them, with a worker type of the same name each.
struct Both {
    process: Process,
    second: Second,
    /// What tasks wait for.
    gates: TempDir,
}

impl Both {
    async fn start() -> Option<Self> {
        let (program, second) = (program()?, built("taskcluster-provisioner")?);
        let ground = Ground { port: Some(free_port()), ..Ground::default() };
        let process = Process::start(program, ground).await.unwrap();
        let second = Second::start(second, &process.root()).await;
        let both = Self { process, second, gates: tempfile::tempdir().unwrap() };
        for tester in [both.root(), both.at_second()] {
            soon(tester.provisioner().create_worker_type("build", &worker_type()).into_future()).await.unwrap();
        }
        Some(both)
    }

    fn root(&self) -> Tester {
        self.process.root()
    }

    /// The same person, who speaks to the second one.
    fn at_second(&self) -> Tester {
        self.second.tester(self.root().caller().credentials())
    }

    fn firsts(&self) -> PathBuf {
        self.process.folder().join("provisioned")
    }

    /// The same task for one queue or another: it runs until its gate is open.
    async fn create(&self, queue: &str, gate: &str) -> TaskId {
        let root = self.root();
        let mut definition = task(root.now()).with_task_queue_id(queue.parse::<TaskQueueId>().unwrap());
        let script = format!("until [ -e {:?} ]; do sleep 0.05; done", self.gates.path().join(gate));
        let payload = serde_json::json!({"command": [["/bin/sh", "-c", script]], "maxRunTime": 3000});
        definition.payload = serde_json::from_value(payload).unwrap();
        root.create(&definition).await
    }

    fn open(&self, gate: &str) {
        std::fs::write(self.gates.path().join(gate), "").unwrap();
    }

    async fn becomes(&self, task_id: &TaskId, state: &str) {
        let root = self.root();
        until(|| async { (root.state(task_id).await == state).then_some(()) }).await;
    }

    /// How the runs of a task ended, or go on, and who had the last of them.
    async fn runs(&self, task_id: &TaskId) -> (Vec<String>, String) {
        let runs = self.root().status(task_id).await.runs;
        let worker = runs.last().and_then(|run| run.worker_id.clone()).unwrap_or_default();
        (runs.iter().map(|run| run.state.to_string()).collect(), worker)
    }

    /// Ends all workers of both, and sees them gone.
    async fn end(mut self) {
        for tester in [self.root(), self.at_second()] {
            let ended = tester.provisioner().terminate_all_instances_of_worker_type("build");
            let _ = soon(ended.into_future()).await;
        }
        for folder in [self.firsts(), self.second.processes()] {
            until(|| async { left_in(&folder).is_empty().then_some(()) }).await;
        }
        self.second.stop().await;
        self.process.stop().await.unwrap();
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        end_all(&self.firsts());
    }
}

/// Workers that stay once they are there.
fn worker_type() -> CreateWorkerTypeRequest {
    let command = ["taskcluster", "native-worker", "run", "--isolation", "none", "--work-dir", "work"];
    let little_room = ["--required-disk-space", "1000000"];
    let provider = LocalProcessProvider::new(command.into_iter().chain(little_room));
    CreateWorkerTypeRequest::new("for the test", "me@example.com", 2, 0.0, provider)
        .with_lifecycle(WorkerLifecycle::new().with_idle_time(3600_u32))
}

/// The instances of a provisioner.
async fn instances(tester: &Tester) -> BTreeSet<String> {
    let all = tester.provisioner().state("build").stream().map_ok(|instance| instance.instance_id);
    soon(all.try_collect()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_move_by_the_name_of_their_queue_alone() {
    let Some(both) = Both::start().await else { return };
    both.open("gate");
    let mut had: Vec<(&str, String)> = Vec::new();
    for queue in ["local/build", "second/build", "local/build", "second/build"] {
        let task_id = both.create(queue, "gate").await;
        both.becomes(&task_id, "completed").await;
        let (ends, worker) = both.runs(&task_id).await;
        assert_eq!(ends, ["completed"]);
        had.push((queue, worker));
    }
    let (firsts, seconds) = (instances(&both.root()).await, instances(&both.at_second()).await);
    assert_eq!(firsts.intersection(&seconds).count(), 0);
    for (queue, worker) in had {
        let own = if queue == "local/build" { &firsts } else { &seconds };
        assert!(own.contains(&worker), "{worker} had a task of {queue}");
    }

    // What is removed at one is there at the other, with all that runs of it.
    let (of_first, of_second) = (both.firsts(), both.second.processes());
    let before = workers_in(&of_first);
    soon(both.at_second().provisioner().remove_worker_type("build").into_future()).await.unwrap();
    until(|| async { left_in(&of_second).is_empty().then_some(()) }).await;
    assert_eq!((workers_in(&of_first), instances(&both.root()).await), (before, firsts.clone()));
    let task_id = both.create("local/build", "gate").await;
    both.becomes(&task_id, "completed").await;
    assert!(firsts.contains(&both.runs(&task_id).await.1));
    both.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_ends_the_work_of_the_other_goes_on() {
    let Some(mut both) = Both::start().await else { return };
    let (first, second) = (both.create("local/build", "first").await, both.create("second/build", "second").await);
    for task_id in [&first, &second] {
        both.becomes(task_id, "running").await;
    }
    let (of_first, of_second) = (both.firsts(), both.second.processes());
    let (working_here, working_there) = (workers_in(&of_first), workers_in(&of_second));

    // The second one ends; the first has a task done meanwhile.
    both.second.stop().await;
    both.open("meanwhile");
    let (here, there) = (both.create("local/build", "meanwhile").await, both.create("second/build", "meanwhile").await);
    both.becomes(&here, "completed").await;
    assert_eq!(both.root().state(&there).await, "pending");
    assert_eq!(workers_in(&of_second), working_there);
    assert!(go_on(&working_here, &of_first));
    both.second.restart().await;
    both.becomes(&there, "completed").await;
    assert!(go_on(&working_there, &of_second));

    // The first one ends in order, and the queue with it. Its own workers give back what they have.
    both.process.stop().await.unwrap();
    assert_eq!(left_in(&of_first), Vec::<PathBuf>::new());
    assert!(go_on(&working_there, &of_second));
    both.process.restart().await.unwrap();
    both.becomes(&first, "running").await;
    for (gate, task_id, ends) in [("first", first, &["exception", "completed"][..]), ("second", second, &["completed"])]
    {
        both.open(gate);
        both.becomes(&task_id, "completed").await;
        assert_eq!(both.runs(&task_id).await.0, ends);
    }
    both.end().await;
}
