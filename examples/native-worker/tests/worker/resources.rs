//! What commands take, and how it is kept within bounds.

use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_worker::plugins::MemoryLimits;

use crate::bench::{Bench, bench_of_users, lives};

/// The line of the log that says how each command ended and what it took.
fn told(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.starts_with("[taskcluster 2") && line.contains(" s; user ")).collect()
}

/// The number that stands between these two.
fn number(line: &str, before: &str, after: &str) -> f64 {
    let value = line.split_once(before).and_then(|(_, rest)| rest.split_once(after)?.0.parse().ok());
    value.unwrap_or_else(|| panic!("no number between {before:?} and {after:?}: {line}"))
}

/// Burns the processor in a child of a child, then waits until there is enough to see of its memory.
async fn tells(bench: Bench) {
    let burn = "sh -c 'i=0; while test $i -lt 300000; do i=$((i+1)); done'; \
                x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1.5; echo ${#x}";
    let (task_id, state) =
        bench.resolve(json!({"command": [["/bin/sh", "-c", burn], ["/bin/sh", "-c", "exit 3"]]})).await;
    let log = bench.log(&task_id);
    assert_eq!(state, "failed", "{log}");
    let [first, second] = told(&log)[..] else { panic!("a line for each command:\n{log}") };
    assert!(first.contains(" exit code 0 after ") && second.contains(" exit code 3 after "), "{log}");
    let user = |line| number(line, "user ", " s");
    assert!(user(first) > 0.0 && number(first, " after ", " s") > 1.0, "{log}");
    assert!(user(second) < user(first), "each command is measured by itself:\n{log}");
    assert!(number(first, "system ", " s") >= 0.0, "{log}");
    let (peak, average) = (number(first, "memory ", " MiB at most"), number(first, "at most, ", " MiB on average"));
    assert!(peak >= 19.0 && average <= peak, "{log}");
}

#[tokio::test]
async fn the_log_tells_what_each_command_took() {
    tells(Bench::new().await).await;
}

#[tokio::test]
async fn the_log_tells_what_each_command_of_a_user_took() {
    if let Some(bench) = bench_of_users().await {
        tells(bench).await;
    }
}

#[tokio::test]
async fn the_log_does_not_tell_who_does_not_want_to_know() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"command": [["true"]], "features": {"resourceMonitor": false}})).await;
    let log = bench.log(&task_id);
    assert!(state == "completed" && told(&log).is_empty(), "{log}");
}

#[tokio::test]
async fn the_last_lines_of_a_failed_task_say_why_it_failed() {
    let bench = Bench::new().await;
    let task_id = bench.script("echo building; echo 'error: no such thing' >&2; exit 3");
    bench.run().await;
    let log = bench.log(&task_id);
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    for (line, part) in last.iter().rev().zip([
        "error: no such thing",
        "] exit code 3 after ",
        "=== Task Finished ===",
        "[taskcluster:error] exit code 3",
        "=== Task Ends: failed ===",
    ]) {
        assert!(line.contains(part), "{part:?} is not where it should be:\n{log}");
    }
}

#[tokio::test]
async fn a_task_that_prints_nothing_is_ended_and_one_that_prints_is_not() {
    let bench = Bench::new().await;
    let silent = "echo READY $$; while :; do sleep 1000; done";
    let (task_id, state) = bench.resolve(json!({"command": [["/bin/sh", "-c", silent]], "maxSilence": 2})).await;
    let log = bench.log(&task_id);
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("[taskcluster:error] the task printed nothing for its maxSilence of 2 s\n"), "{log}");
    assert_eq!(log.matches("[taskcluster:error]").count(), 1, "{log}");
    assert!(!lives(&bench.line("READY ").await));

    let talks = "for i in 1 2 3 4 5 6; do sleep 0.5; echo $i; done";
    let (task_id, state) = bench.resolve(json!({"command": [["/bin/sh", "-c", talks]], "maxSilence": 2})).await;
    assert_eq!(state, "completed", "{}", bench.log(&task_id));
}

#[tokio::test]
async fn the_worker_says_how_long_a_task_may_be_silent_that_does_not() {
    let bench = Bench::new().await;
    let task_id = bench.script("while :; do sleep 1000; done");
    bench.run_as(|builder| builder.max_silence(Duration::from_secs(1))).await;
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(bench.log(&task_id).contains("maxSilence of 1 s"));
}

fn holds(bytes: u32) -> Value {
    let script = format!(
        "x=$(head -c {bytes} /dev/zero | tr '\\0' x); echo HOLDS {bytes}; while ! test -e go; do sleep 0.1; done"
    );
    json!({"command": [["/bin/sh", "-c", script]], "artifacts": [{"type": "file", "path": "go", "optional": true}]})
}

#[tokio::test]
async fn the_largest_task_is_ended_when_memory_runs_out_and_the_other_goes_on() {
    let bench = Bench::new().await;
    let (small, large) = (bench.add(holds(1_000_000)), bench.add(holds(60_000_000)));
    // A machine that is always short of memory, but patient enough for both to hold what they will.
    let limits = MemoryLimits::default()
        .with_max_used_percent(0)
        .with_min_available(u64::MAX)
        .with_patience(Duration::from_secs(15));
    let go = async {
        bench.line("HOLDS 1000000").await;
        bench.queue.resolved(&large).await;
        bench.touch(&small, "go");
    };
    tokio::join!(bench.run_as(|builder| builder.capacity(2).task_limit(2).memory_guard(Some(limits))), go);
    let log = bench.log(&large);
    assert_eq!(bench.queue.state(&large), "failed", "{log}");
    let error = log.lines().find(|line| line.starts_with("[taskcluster:error]")).unwrap();
    assert!(error.contains("the machine runs out of memory") && error.contains("holds the most of it"), "{log}");
    assert_eq!(bench.queue.state(&small), "completed", "{}", bench.log(&small));
}
