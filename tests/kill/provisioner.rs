//! `kill -9` of a deployment whose workers come and go: of the provisioner, and of the queue that they work for, in one process.
//!
//! Its workers are processes of their own and go on. Whatever the moment of a kill, there are never more of them than there may be, each
//! task is completed, and in the end nobody and nothing is left.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Ground, Process, Tester, program, task, until};
use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider, WorkerLifecycle};
use taskcluster::{TaskId, TaskQueueId};
use tokio::task::JoinHandle;

use super::chance::Chance;

/// The most that there may be.
const MOST: usize = 4;
const TASKS: usize = 40;
/// The longest time from one start of the deployment to its next death.
const LIFE: Duration = Duration::from_millis(2500);

fn kills() -> usize {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 50 } else { 10 }
}

fn definition() -> CreateWorkerTypeRequest {
    let command = ["taskcluster", "native-worker", "run", "--isolation", "none", "--work-dir", "work"];
    let little_room = ["--required-disk-space", "1000000"];
    let provider = LocalProcessProvider::new(command.into_iter().chain(little_room));
    let most = u32::try_from(MOST).unwrap();
    CreateWorkerTypeRequest::new("for the test", "me@example.com", most, 0.0, provider)
        .with_lifecycle(WorkerLifecycle::new().with_idle_time(3_u32))
}

async fn create(root: &Tester, seconds: &str) -> TaskId {
    let mut definition = task(root.now()).with_task_queue_id("local/comes-and-goes".parse::<TaskQueueId>().unwrap());
    definition.payload =
        serde_json::from_value(serde_json::json!({"command": [["/bin/sleep", seconds]], "maxRunTime": 60})).unwrap();
    root.create(&definition).await
}

/// Processes that are at work in a folder or below it.
pub(super) fn processes_in(folder: &Path) -> BTreeMap<u32, PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter_map(|number| Some((number, std::fs::read_link(format!("/proc/{number}/cwd")).ok()?)))
        .filter(|(_, cwd)| cwd.starts_with(folder))
        .collect()
}

/// How many workers there are: each has a folder of its own.
fn workers_in(folder: &Path) -> usize {
    let mut folders: Vec<PathBuf> = processes_in(folder)
        .into_values()
        .filter_map(|cwd| Some(folder.join(cwd.strip_prefix(folder).ok()?.components().next()?)))
        .collect();
    folders.sort();
    folders.dedup();
    folders.len()
}

/// Watches how many workers there are at most.
fn watch(folder: PathBuf) -> (Arc<AtomicUsize>, JoinHandle<()>) {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let watching = tokio::spawn(async move {
        loop {
            seen.fetch_max(workers_in(&folder), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    (most, watching)
}

/// The folders of instances.
pub(super) fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_whatever_is_killed() {
    let Some(program) = program() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut process = Process::start(program, Ground { port: Some(port), ..Ground::default() }).await.unwrap();
    let folder = process.folder().join("provisioned");
    let (most, watching) = watch(folder.clone());
    let mut chance = Chance::new();
    println!("{chance}");
    let root = process.root();
    root.provisioner().create_worker_type("comes-and-goes", &definition()).await.unwrap();
    let mut tasks = Vec::new();
    for round in 0..kills() {
        let root = process.root();
        for _ in 0..TASKS / kills().min(TASKS) {
            tasks.push(create(&root, ["0", "0.2", "0.5", "1"][chance.below(4)]).await);
        }
        if round % 5 == 4 {
            // Now and then all that there is is idle, or on its way out, when it happens.
            for task_id in &tasks {
                until(|| async { (root.state(task_id).await == "completed").then_some(()) }).await;
            }
        }
        tokio::time::sleep(LIFE.mul_f64(chance.part())).await;
        process.kill().await.unwrap();
        process.restart().await.unwrap();
    }
    let root = process.root();
    for task_id in &tasks {
        until(|| async { (root.state(task_id).await == "completed").then_some(()) }).await;
        let ends: Vec<String> =
            root.status(task_id).await.runs.iter().map(|run| run.state.as_str().to_owned()).collect();
        assert_eq!(ends, ["completed"], "{task_id}");
    }
    until(|| async { left_in(&folder).is_empty().then_some(()) }).await;
    assert_eq!(processes_in(&folder), BTreeMap::new());
    watching.abort();
    let most = most.load(Ordering::Relaxed);
    assert!((1..=MOST).contains(&most), "there were {most} at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_stops_takes_its_workers_with_it() {
    let Some(program) = program() else { return };
    let mut process = Process::start(program, Ground::default()).await.unwrap();
    let folder = process.folder().join("provisioned");
    let root = process.root();
    root.provisioner().create_worker_type("comes-and-goes", &definition()).await.unwrap();
    let long = create(&root, "1000").await;
    until(|| async { (root.state(&long).await == "running").then_some(()) }).await;
    assert_eq!(workers_in(&folder), 1);
    process.stop().await.unwrap();
    assert_eq!((processes_in(&folder), left_in(&folder)), (BTreeMap::new(), Vec::new()));
    process.restart().await.unwrap();
    let root = process.root();
    let run = &root.status(&long).await.runs[0];
    assert_eq!(run.reason_resolved.as_ref().map(|reason| reason.as_str()), Some("worker-shutdown"));
    process.stop().await.unwrap();
    assert_eq!(processes_in(&folder), BTreeMap::new());
}
