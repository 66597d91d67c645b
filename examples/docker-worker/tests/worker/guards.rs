//! Tasks that hang, and machines that run out of memory.

use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_worker::plugins::{Linger, MemoryLimits};

use crate::bench::Bench;

#[tokio::test]
async fn a_task_that_prints_nothing_for_too_long_is_ended_and_its_artifacts_are_kept() {
    let Some(bench) = Bench::new().await else { return };
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", "echo early >/file; sleep 1000"],
            "maxSilence": 2,
            "artifacts": {"public/file": {"type": "file", "path": "/file"}},
        }))
        .await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("[taskcluster:error] the task printed nothing for its maxSilence of 2 s\n"), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "early\n");

    let talks = "for i in 1 2 3 4 5 6; do sleep 0.5; echo $i; done";
    let (_, state, log) = bench.resolve(json!({"command": ["/bin/sh", "-c", talks], "maxSilence": 2})).await;
    assert_eq!(state, "completed", "{log}");
}

#[tokio::test]
async fn the_worker_says_how_long_a_task_may_be_silent_that_does_not() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("sleep 1000");
    bench.run_as(1, 1, |_| {}, |worker| worker.max_silence = Some(Duration::from_secs(1))).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "failed", "{log}");
    assert!(log.contains("maxSilence of 1 s"), "{log}");
}

#[tokio::test]
async fn whoever_looks_around_when_the_command_has_ended_need_not_say_anything() {
    let Some(bench) = Bench::new().await else { return };
    let task_id =
        bench.add(json!({"command": ["/bin/sh", "-c", "exit 0"], "features": {"interactive": true}, "maxSilence": 1}));
    let longer = Linger { from_start: Duration::from_secs(4), after_shell: Duration::ZERO };
    bench.run_as(1, 1, |_| {}, |worker| worker.linger = longer).await;
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
}

fn holds(bytes: u32) -> Value {
    let script = format!(
        "x=$(head -c {bytes} /dev/zero | tr '\\0' x); echo HOLDS {bytes}; while ! test -e /go; do sleep 0.1; done"
    );
    json!({"command": ["/bin/sh", "-c", script]})
}

#[tokio::test]
async fn the_container_that_holds_the_most_is_ended_when_memory_runs_out_and_the_other_goes_on() {
    let Some(bench) = Bench::new().await else { return };
    let (small, large) = (bench.add(holds(1_000_000)), bench.add(holds(60_000_000)));
    // A machine that is always short of memory, but patient enough for both to hold what they will.
    let limits = MemoryLimits::default()
        .with_max_used_percent(0)
        .with_min_available(u64::MAX)
        .with_patience(Duration::from_secs(15));
    let go = async {
        bench.line("HOLDS 1000000").await;
        bench.queue.resolved(&large).await;
        bench.touch(&small, "/go");
    };
    tokio::join!(bench.run_as(2, 2, |_| {}, |worker| worker.memory_guard = Some(limits)), go);
    let log = bench.log(&large);
    assert_eq!(bench.queue.state(&large), "failed", "{log}");
    let error = log.lines().find(|line| line.starts_with("[taskcluster:error]")).unwrap();
    assert!(error.contains("the machine runs out of memory") && error.contains("holds the most of it"), "{log}");
    assert_eq!(bench.queue.state(&small), "completed", "{}", bench.log(&small));
}
