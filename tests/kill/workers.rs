//! `kill -9` of a worker at any moment, again and again, with tasks under way; each time it is started again on what it left.
//!
//! Whatever it was doing, three things hold. Nothing of a killed life goes on once the next one takes tasks; in the end
//! nothing is left but caches. And every task is completed: what was under way is given back by the next life, or, where
//! that has another name, taken back by the queue when the claim ends.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use harness::{Backend, Deployment, Machine, Options, Tester, soon, task, until};
use taskcluster::queue::TaskStatus;
use taskcluster::{TaskId, TaskQueueId, Timestamp};

mod kinds;

use super::chance::Chance;
use kinds::{Docker, Kind, Native};

const QUEUE: &str = "test/killed";
/// Long enough for a busy machine to renew it.
const CLAIM: Duration = Duration::from_secs(12);
/// Tasks that are there for a worker to take at any time.
const TASKS: usize = 8;
/// The longest time from a worker's start, or from its first claim, to its death.
const LIFE: Duration = Duration::from_millis(1500);

fn kills() -> usize {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 100 } else { 10 }
}

/// A machine whose workers are killed, and the tasks of their queue.
struct Bench<K> {
    kind: K,
    deployment: Deployment,
    root: Tester,
    folder: tempfile::TempDir,
    tasks: BTreeSet<TaskId>,
    chance: Chance,
    /// What killed workers have left behind.
    left: BTreeSet<String>,
}

impl<K: Kind> Bench<K> {
    async fn start(kind: K) -> Self {
        let options = Options::on(Backend::Sqlite).with_claim_wait(Duration::from_secs(5)).with_claim_timeout(CLAIM);
        let deployment = soon(Deployment::start(options)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        let (root, chance) = (deployment.root(), Chance::new());
        Self { kind, deployment, root, folder, tasks: BTreeSet::new(), chance, left: BTreeSet::new() }
    }

    fn work_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    /// A task that takes so many seconds, and leaves processes behind that would stay for long.
    async fn create(&mut self, seconds: &str) -> TaskId {
        let mut definition =
            task(self.root.now()).with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap()).with_retries(49);
        definition.payload = self.kind.payload(seconds);
        let task_id = self.root.create(&definition).await;
        self.tasks.insert(task_id);
        task_id
    }

    async fn statuses(&self) -> Vec<TaskStatus> {
        let statuses = self.tasks.iter().map(|task_id| self.root.status(task_id));
        futures_util::future::join_all(statuses).await
    }

    /// Have enough tasks for a worker to be busy.
    async fn fill(&mut self) {
        let waiting = self.statuses().await.iter().filter(|status| status.state.as_str() != "completed").count();
        for _ in waiting..TASKS {
            let seconds = ["0", "0.1", "0.4", "1.2"][self.chance.below(4)];
            self.create(seconds).await;
        }
    }

    fn work(&self, worker_id: &str) -> Machine {
        let arguments = self.kind.arguments();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--capacity", "4", "--worker-group", "killed", "--worker-id", worker_id]);
        Machine::start(&self.kind.program(), &self.deployment, QUEUE, &self.work_dir(), &arguments).unwrap()
    }

    /// Wait until a worker that was started then has claimed something, and see that nothing of former lives goes on.
    async fn claimed_since(&self, start: Timestamp) {
        until(|| async {
            let statuses = self.statuses().await;
            let runs = statuses.iter().flat_map(|status| &status.runs);
            runs.filter_map(|run| run.started).any(|started| started > start).then_some(())
        })
        .await;
        self.nothing_left_goes_on();
    }

    fn nothing_left_goes_on(&self) {
        let there = self.kind.traces(&self.work_dir());
        let still: Vec<_> = self.left.intersection(&there).collect();
        assert!(still.is_empty(), "left by a killed worker: {still:?}");
    }

    /// A life from its start to its death at any moment.
    async fn live_and_die(&mut self, worker_id: &str) {
        self.fill().await;
        let start = self.root.now();
        let machine = self.work(worker_id);
        // Half of them do not live to see their first claim, which begins with cleaning up.
        if self.chance.below(2) == 0 {
            self.claimed_since(start).await;
        }
        tokio::time::sleep(LIFE.mul_f64(self.chance.part())).await;
        machine.kill().await.unwrap();
        self.left.extend(self.kind.traces(&self.work_dir()));
    }

    /// A life whose tasks are not given back, since the next one has another name.
    async fn die_at_work(&mut self, worker_id: &str) {
        let task_id = self.create("4").await;
        let machine = self.work(worker_id);
        until(|| async { (self.root.state(&task_id).await == "running").then_some(()) }).await;
        machine.kill().await.unwrap();
        self.left.extend(self.kind.traces(&self.work_dir()));
    }

    /// A last life, which does all that is left to do.
    async fn live_on(&mut self, worker_id: &str) {
        let start = self.root.now();
        self.create("0").await;
        let machine = self.work(worker_id);
        self.claimed_since(start).await;
        until(|| async {
            let statuses = self.statuses().await;
            statuses.iter().all(|status| status.state.as_str() == "completed").then_some(())
        })
        .await;
        soon(machine.end()).await.unwrap();
    }
}

async fn nothing_is_left_and_every_task_completed<K: Kind>(kind: K) {
    let mut bench = Bench::start(kind).await;
    println!("{}", bench.chance);
    for _ in 0..kills() {
        // Most come back under the same name.
        let worker_id = if bench.chance.below(4) == 0 { "another" } else { "one" };
        bench.live_and_die(worker_id).await;
    }
    bench.die_at_work("one").await;
    bench.live_on("another").await;

    let mut reasons = BTreeSet::new();
    for status in bench.statuses().await {
        let (last, before) = status.runs.split_last().unwrap();
        assert_eq!(last.state.as_str(), "completed", "{status:?}");
        for run in before {
            let reason = run.reason_resolved.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(["worker-shutdown", "claim-expired"].contains(&&*reason), "{status:?}");
            reasons.insert(reason);
        }
    }
    println!("{} kills, {} tasks, runs that ended {reasons:?}", kills() + 1, bench.tasks.len());
    assert!(reasons.contains("claim-expired"), "{reasons:?}");
    assert_eq!(bench.kind.traces(&bench.work_dir()), BTreeSet::new());
    assert_eq!(files(&bench.work_dir()), Vec::<String>::new());
    bench.deployment.stop().await;
}

/// The files that stay in a worker's directory, apart from what is there for its next life.
fn files(work_dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(work_dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match &*name {
            "lock" | "caches" => {}
            "runs" | "tasks" => {
                let inside = std::fs::read_dir(entry.path()).unwrap();
                found.extend(inside.map(|inside| inside.unwrap().path().display().to_string()));
            }
            _ => found.push(name),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn native_tasks_of_the_workers_own_user() {
    let Some(native) = Native::without_users() else { return };
    nothing_is_left_and_every_task_completed(native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_tasks_of_a_user_each() {
    let Some(native) = Native::with_users() else { return };
    nothing_is_left_and_every_task_completed(native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_docker() {
    let Some(docker) = Docker::find().await else { return };
    nothing_is_left_and_every_task_completed(docker).await;
}
