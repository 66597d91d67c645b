//! Whoever goes away in the middle: master, worker, bridge. Nothing is built twice, and nothing is lost.

use std::time::Duration;

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_was_killed_finds_its_build_again() {
    let Some(bench) = Bench::new().await else { return };
    let bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bridge.kill().await;
    let _bridge = bench.bridge();
    bench.printed(&task_id, 1, "\nREADY\n").await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["worker-shutdown", "completed"]);
    let log = bench.log(&task_id, 1).await;
    assert!(log.contains("has request 1 for this task already") && log.contains("\nGONE ON\n"), "{log}");
    assert_eq!((bench.master.requests().await.len(), bench.master.builds().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_ended_while_the_bridge_was_away_still_counts() {
    let Some(bench) = Bench::new().await else { return };
    let bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bridge.terminate().await;
    assert_eq!(bench.master.builds().await[0]["complete"], false, "it goes on without the bridge");
    bench.let_go();
    bench.until(|| async { (bench.master.builds().await[0]["complete"] == true).then_some(()) }).await;
    let _bridge = bench.bridge();
    assert_eq!(bench.resolved(&task_id).await, ["worker-shutdown", "completed"]);
    let log = bench.log(&task_id, 1).await;
    assert!(log.contains("\nREADY\n") && log.contains("\nGONE ON\n"), "{log}");
    assert_eq!(bench.master.requests().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_slept_longer_than_its_claim_leaves_the_build_to_the_next_run() {
    let Some(bench) = Bench::with_claims_for(Duration::from_secs(20)).await else { return };
    let bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bridge.suspend();
    let runs = || async { bench.tc.queue().status(&task_id).await.unwrap().status.runs.len() };
    bench.until(|| async { (runs().await == 2).then_some(()) }).await;
    bridge.resume();
    bench.printed(&task_id, 1, "has request 1 for this task already").await;
    bench.printed(&task_id, 1, "\nREADY\n").await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["claim-expired", "completed"]);
    assert_eq!((bench.master.requests().await.len(), bench.master.builds().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_run_again_is_built_again() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script("exit 1").await;
    assert_eq!(bench.resolved(&task_id).await, ["failed"]);
    bench.tc.queue().rerun_task(&task_id).await.unwrap();
    assert_eq!(bench.resolved(&task_id).await, ["failed", "failed"]);
    assert_eq!(bench.master.builds().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_comes_back_builds_on() {
    let Some(mut bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bench.master.kill().await;
    bench.printed(&task_id, 0, "waiting for it").await;
    bench.master.restart().await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("ends with RETRY") && log.contains("\nGONE ON\n"), "{log}");
    assert_eq!(bench.master.requests().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_comes_while_the_master_is_away_is_given_back() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.master.kill().await;
    let _bridge = bench.bridge();
    let task_id = bench.script("true").await;
    let given_back = |runs: &[taskcluster::queue::Run]| {
        runs[0].reason_resolved.as_ref().is_some_and(|reason| reason.as_str() == "worker-shutdown")
    };
    bench
        .until(|| async { given_back(&bench.tc.queue().status(&task_id).await.unwrap().status.runs).then_some(()) })
        .await;
    bench.master.restart().await;
    assert_eq!(bench.resolved(&task_id).await.last().unwrap(), "completed");
    assert_eq!(bench.master.builds().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_worker_is_lost_is_built_again_by_another() {
    let Some(mut bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bench.master.kill_worker().await;
    bench.printed(&task_id, 0, "ends with RETRY").await;
    bench.master.restart_worker();
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("builds it again") && log.contains("\nGONE ON\n"), "{log}");
    let results: Vec<_> = bench.master.builds().await.iter().map(|build| build["results"].clone()).collect();
    assert_eq!((results, bench.master.requests().await.len()), (vec![5.into(), 0.into()], 1));
}
