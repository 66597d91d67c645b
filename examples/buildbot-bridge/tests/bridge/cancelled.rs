//! Cancelled on one side, cancelled on the other.

use serde_json::json;

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cancelled_ends_its_build() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bench.tc.queue().cancel_task(&task_id).await.unwrap();
    bench.until(|| async { (bench.master.builds().await[0]["results"] == 6).then_some(()) }).await;
    assert_eq!(bench.resolved(&task_id).await, ["canceled"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("Buildbot has cancelled request"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cancelled_takes_back_a_build_that_waits() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.master.kill_worker().await;
    let _bridge = bench.bridge();
    let task_id = bench.script("true").await;
    bench.printed(&task_id, 0, "Buildbot has taken request").await;
    bench.tc.queue().cancel_task(&task_id).await.unwrap();
    bench.until(|| async { (bench.master.requests().await[0]["results"] == 6).then_some(()) }).await;
    assert!(bench.master.builds().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_cancels_its_task() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    stop_build(&bench).await;
    assert_eq!(bench.resolved(&task_id).await, ["canceled"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("was cancelled in Buildbot, and with it the task"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_may_not_cancel_says_so_and_the_task_is_failed() {
    let Some(bench) = Bench::without_cancelling().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    stop_build(&bench).await;
    assert_eq!(bench.resolved(&task_id).await, ["failed"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("the bridge may not cancel the task") && log.contains("queue:cancel-task:"), "{log}");
}

/// As a person does it, on the master's page.
async fn stop_build(bench: &Bench) {
    let build = bench.master.builds().await[0]["buildid"].clone();
    bench.master.order(&format!("builds/{build}"), json!({"method": "stop", "params": {"reason": "a test"}})).await;
}
