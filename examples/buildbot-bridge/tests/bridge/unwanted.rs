//! Builds whose task ended while nobody was there to stop them.

use serde_json::json;
use taskcluster::TaskId;

use crate::bench::Bench;

/// Whether a request was taken back.
async fn is_taken_back(bench: &Bench, request: usize) -> bool {
    bench.master.requests().await[request]["results"] == 6
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_comes_back_stops_the_build_of_a_task_that_was_cancelled_and_no_other() {
    let Some(bench) = Bench::new().await else { return };
    let bridge = bench.bridge();
    let cancelled = bench.script(&bench.waiting()).await;
    bench.printed(&cancelled, 0, "\nREADY\n").await;
    let wanted = bench.script("echo WANTED").await;
    bench.printed(&wanted, 0, "Buildbot has taken request").await;
    // What somebody else has ordered, for a task of another deployment.
    let params =
        json!({"builderNames": ["script"], "script": "true", "taskId": TaskId::new().to_string(), "runId": "0"});
    bench.master.order("forceschedulers/taskcluster", json!({"method": "force", "params": params})).await;
    bridge.kill().await;
    bench.tc.queue().cancel_task(&cancelled).await.unwrap();
    assert!(!is_taken_back(&bench, 0).await, "nobody is there to stop it");

    let _bridge = bench.bridge();
    bench.until(|| async { is_taken_back(&bench, 0).await.then_some(()) }).await;
    assert_eq!(bench.resolved(&wanted).await, ["worker-shutdown", "completed"]);
    assert!(bench.log(&wanted, 1).await.contains("has request 2 for this task already"), "it was left to its next run");
    let others = || async { bench.master.requests().await[2]["complete"].as_bool().filter(|complete| *complete) };
    bench.until(others).await;
    assert_eq!(bench.master.requests().await[2]["results"], 0, "a stranger's build is not ours to stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_run_again_does_not_find_the_build_that_was_stopped() {
    let Some(bench) = Bench::new().await else { return };
    let bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bridge.kill().await;
    bench.tc.queue().cancel_task(&task_id).await.unwrap();
    bench.tc.queue().rerun_task(&task_id).await.unwrap();
    let _bridge = bench.bridge();
    bench.until(|| async { is_taken_back(&bench, 0).await.then_some(()) }).await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["canceled", "completed"]);
    assert_eq!(bench.master.requests().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_away_as_well_is_told_when_it_comes_back() {
    let Some(mut bench) = Bench::new().await else { return };
    let bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bridge.kill().await;
    bench.tc.queue().cancel_task(&task_id).await.unwrap();
    bench.master.kill().await;
    let _bridge = bench.bridge();
    bench.until(|| async { bench.said("cannot look for builds that nobody wants").then_some(()) }).await;
    bench.master.restart().await;
    bench.until(|| async { is_taken_back(&bench, 0).await.then_some(()) }).await;
}
