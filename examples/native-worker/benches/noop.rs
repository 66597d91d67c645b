//! Tasks that do nothing: `cargo bench -p taskcluster-native-worker --bench noop`. The queue is one of the tests, in this process.
//!
//! First the time from claim to resolved, of tasks without a user of their own, in turns with a bare start of the same program.
//! Then how long tasks that are cancelled go on, where no events are heard. Then, with the program `native-worker`, how many such tasks it
//! runs in a second, eight at once, and whether its memory grows meanwhile. The numbers are of one run on one machine: what counts are differences and ratios.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taskcluster_core::{Credentials, TaskId};
use taskcluster_native_worker::{Event, Isolation, NativeWorker, Shutdown};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use tokio::sync::mpsc::UnboundedReceiver;

const PROGRAM: &str = "/bin/true";
/// Rounds before those that count, and those.
const WARM_UP: usize = 5;
const ROUNDS: usize = 100;
/// Tasks for the throughput, and how many at once.
const TASKS: usize = 2000;
const CAPACITY: usize = 8;
/// Tasks that are cancelled, one after the other.
const CANCELLED: usize = 20;
const TOKEN: &str = "the-secret-token-of-the-worker";

#[tokio::main]
async fn main() {
    one_after_the_other().await;
    cancelled().await;
    many().await;
}

fn task() -> Value {
    let payload = json!({"command": [[PROGRAM]], "maxRunTime": 60});
    task_with_payload(payload.as_object().expect("it is one"))
}

/// A worker in this process, and the moments of those of its events.
async fn timed_worker(
    queue: &FakeQueue,
    dir: &Path,
    is_timed: fn(&Event) -> bool,
) -> (NativeWorker, UnboundedReceiver<Instant>) {
    let (sender, moments) = tokio::sync::mpsc::unbounded_channel();
    let worker = NativeWorker::builder(queue.root_url(), "test/worker".parse().expect("two names"))
        .credentials(Credentials::new("the-worker", TOKEN))
        .work_dir(dir)
        .isolation(Isolation::None)
        .events(Arc::new(move |event| {
            if is_timed(&event) {
                let _ = sender.send(Instant::now());
            }
        }))
        .build()
        .await
        .expect("a worker");
    (worker, moments)
}

async fn one_after_the_other() {
    let queue = FakeQueue::start().await.expect("a queue on loopback");
    let dir = tempfile::tempdir().expect("a directory for the worker");
    let timed = |event: &Event| matches!(event, Event::Claimed { .. } | Event::Resolved { .. });
    let (worker, mut events) = timed_worker(&queue, dir.path(), timed).await;
    let shutdown = Shutdown::new();
    let rounds = async {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..WARM_UP + ROUNDS {
            let task_id = queue.add_task(task());
            let claimed = events.recv().await.expect("it is claimed");
            ours.push(events.recv().await.expect("it is resolved") - claimed);
            assert_eq!(queue.state(&task_id), "completed");
            bare.push(start_bare().await);
        }
        shutdown.now();
        (median(&mut ours[WARM_UP..]), median(&mut bare[WARM_UP..]))
    };
    let (ended, (ours, bare)) = tokio::join!(worker.run(shutdown.clone()), rounds);
    ended.expect("the worker ends well");
    println!(
        "a task that does nothing, {ROUNDS} rounds: claim to resolved {ours:.1?}, {PROGRAM} alone {bare:.1?}, {:.1?} more (goal 20 ms)",
        ours.saturating_sub(bare),
    );
}

/// From the moment at which the queue has a task as cancelled to the end of the last process, with the log uploaded.
async fn cancelled() {
    let queue = FakeQueue::start().await.expect("a queue on loopback");
    let dir = tempfile::tempdir().expect("a directory for the worker");
    let timed = |event: &Event| matches!(event, Event::Started { .. } | Event::Resolved { .. });
    let (worker, mut events) = timed_worker(&queue, dir.path(), timed).await;
    let shutdown = Shutdown::new();
    let rounds = async {
        let mut times = Vec::new();
        for _ in 0..CANCELLED {
            let payload = json!({"command": [["sleep", "1000"]], "maxRunTime": 3600});
            let task_id = queue.add_task(task_with_payload(payload.as_object().expect("it is one")));
            events.recv().await.expect("it starts");
            let begun = Instant::now();
            queue.cancel(&task_id);
            times.push(events.recv().await.expect("it ends") - begun);
        }
        shutdown.now();
        times
    };
    let (ended, mut times) = tokio::join!(worker.run(shutdown.clone()), rounds);
    ended.expect("the worker ends well");
    let middle = median(&mut times);
    let longest = times.last().expect("there are some");
    println!("cancelled to ended, {CANCELLED} tasks: {middle:.1?}, at most {longest:.1?} (goal 2 s)");
}

/// What it takes to start a program and see its end.
async fn start_bare() -> Duration {
    let begun = Instant::now();
    let mut command = tokio::process::Command::new(PROGRAM);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().await.expect("it is there").success());
    begun.elapsed()
}

async fn many() {
    let queue = FakeQueue::start().await.expect("a queue on loopback");
    let dir = tempfile::tempdir().expect("a directory for the worker");
    let mut worker = tokio::process::Command::new(env!("CARGO_BIN_EXE_native-worker"));
    worker.args(["run", "--task-queue-id", "test/worker", "--root-url", queue.root_url(), "--isolation", "none"]);
    worker.args(["--client-id", "worker", "--capacity", &CAPACITY.to_string(), "--work-dir"]).arg(dir.path());
    worker.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_LOG", "error").env("NATIVE_WORKER_ACCESS_TOKEN", TOKEN);
    worker.env("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0").stdin(Stdio::null()).kill_on_drop(true);
    let mut worker = worker.spawn().expect("it is built");
    let pid = worker.id().expect("it runs");
    // It is at work, and has what it needs for any task.
    run_all(&queue, 10 * CAPACITY).await;
    println!("the program native-worker, {CAPACITY} tasks at once");
    let quarters = 4;
    let (begun, mut memory) = (Instant::now(), vec![memory_of(pid)]);
    for _ in 0..quarters {
        run_all(&queue, TASKS / quarters).await;
        memory.push(memory_of(pid));
    }
    let taken = begun.elapsed();
    let mebibytes: Vec<String> = memory.iter().map(|kib| format!("{:.1}", *kib as f64 / 1024.0)).collect();
    println!("  {:.0} tasks/s over {TASKS}", TASKS as f64 / taken.as_secs_f64());
    println!("  memory (RSS) at the begin and after each quarter of them: {} MiB", mebibytes.join(", "));
    worker.kill().await.expect("it is ours");
}

/// Have so many tasks run.
async fn run_all(queue: &FakeQueue, tasks: usize) {
    let tasks: Vec<TaskId> = (0..tasks).map(|_| queue.add_task(task())).collect();
    for task in tasks {
        assert_eq!(queue.resolved(&task).await, "completed");
    }
}

/// Memory that a process holds, in KiB.
fn memory_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
