//! No process outlives its task.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use taskcluster_core::{Clock, SystemClock};
use taskcluster_worker::plugins::LIVE_LOG;

use crate::bench::{Bench, gone, lives};

#[tokio::test]
async fn daemons_do_not_outlive_their_task() {
    let bench = Bench::new().await;
    let script = "setsid sh -c 'cd /; echo DAEMON $$; exec sleep 1000' & while ! test -e go; do sleep 0.01; done";
    let task_id = bench.add(json!({"command": [["/bin/sh", "-c", script]]}));
    let go = async {
        let pid = bench.line("DAEMON ").await;
        assert!(lives(&pid));
        bench.touch(&task_id, "go");
        pid
    };
    let (_, pid) = tokio::join!(bench.run(), go);
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(!lives(&pid));
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_killed_with_all_its_processes() {
    let bench = Bench::new().await;
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo CHILD $$; while :; do sleep 1; done' & \
                  echo text > file; wait; while :; do sleep 1; done";
    let task_id = bench.add(json!({
        "command": [["/bin/sh", "-c", script]],
        "maxRunTime": 6,
        "artifacts": [{"type": "file", "path": "file", "name": "public/file"}],
    }));
    let (_, pid) = tokio::join!(bench.run(), bench.line("CHILD "));
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(!lives(&pid));
    assert!(bench.log(&task_id).contains("maxRunTime of 6 s"));
    assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n");
}

/// A second until the worker asks, half a second for the processes to end politely, and the rest for a busy machine.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_cancelled_task_is_gone_soon_whatever_it_does_against_it() {
    let bench = Bench::new().await;
    let task_id = bench.script("trap '' TERM INT; echo READY $$; while :; do sleep 1000; done");
    let cancel = async {
        let pid = bench.line("READY ").await;
        bench.queue.cancel(&task_id);
        let cancelled = SystemClock.now();
        gone(&pid).await;
        assert!(SystemClock.now().since(cancelled) < SOON);
    };
    tokio::join!(bench.run(), cancel);
    assert!(bench.log(&task_id).contains("cancelled"));
    assert_eq!(bench.queue.state(&task_id), "exception canceled");
}

#[tokio::test]
async fn shutdown_gives_the_task_back() {
    let bench = Bench::new().await;
    let task_id = bench.script("echo READY $$; while :; do sleep 1000; done");
    let stop = async {
        let pid = bench.line("READY ").await;
        bench.shutdown.now();
        pid
    };
    let (_, pid) = tokio::join!(bench.run(), stop);
    assert!(!lives(&pid));
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert!(bench.log(&task_id).contains("READY"));
    assert_eq!(bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created["storageType"], "link");
}

#[tokio::test]
async fn a_dropped_worker_leaves_no_process() {
    let bench = Bench::new().await;
    bench.script("echo READY $$; while :; do sleep 1000; done");
    let pid = tokio::select! {
        _ = bench.run() => panic!("it runs forever"),
        pid = bench.line("READY ") => pid,
    };
    gone(&pid).await;
}

#[tokio::test]
async fn what_a_dead_worker_left_is_removed() {
    let bench = Bench::new().await;
    let left = bench.dir.path().join("work/tasks/left_0");
    std::fs::create_dir_all(&left).unwrap();
    let mut child = Command::new("sleep").arg("1000").env("TASK_WORKDIR", &left).spawn().unwrap();
    let began = SystemClock.now();
    let task_id = bench.script("true");
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(!left.exists());
    assert!(!child.wait().unwrap().success(), "it was killed");
    assert!(SystemClock.now().since(began) < Duration::from_secs(900), "and not waited for");
}

/// It sheds its environment, its session and, with the directory, the place where it was.
const HIDES: &str = "rm -rf \"$TASK_WORKDIR\"; env -i setsid /bin/sh -c 'echo DAEMON $$; exec /bin/sleep 1000' & wait";

#[tokio::test]
async fn a_task_that_deletes_its_directory_does_not_hide_its_processes() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"command": [["/bin/sh", "-c", HIDES]], "maxRunTime": 2}));
    let (_, pid) = tokio::join!(bench.run(), bench.line("DAEMON "));
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(!lives(&pid), "{}", bench.log(&task_id));
}

#[tokio::test]
async fn what_a_dead_worker_left_is_killed_although_its_directory_is_deleted() {
    let bench = Bench::new().await;
    let tasks = bench.dir.path().join("work/tasks");
    let left = tasks.join("left_0");
    std::fs::create_dir_all(&left).unwrap();
    let mut sleep = Command::new("sleep");
    let mut named = sleep.arg("1000").env("TASK_WORKDIR", &left).spawn().unwrap();
    let mut within = Command::new("sleep").arg("1000").env_clear().current_dir(&left).spawn().unwrap();
    std::fs::remove_dir(&left).unwrap();
    let task_id = bench.script("true");
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    for child in [&mut named, &mut within] {
        assert!(!child.wait().unwrap().success(), "it was killed");
    }
}
