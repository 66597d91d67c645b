//! What cannot be built.

use serde_json::{Value, json};

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_nobody_can_build_is_malformed() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let script = json!({"script": "true"});
    for (payload, problem) in [
        (json!({"buildername": "script"}), "\"properties\""),
        (json!({"buildername": "", "properties": script}), "buildername"),
        (json!({"buildername": "script", "properties": script, "other": 1}), "'other'"),
        (json!({"buildername": "none", "properties": script}), "has no builder \"none\""),
        (json!({"buildername": "unavailable", "properties": script}), "are not for tasks"),
        (json!({"buildername": "script", "properties": {"unknown": 1}}), "no parameter \"unknown\""),
        (json!({"buildername": "script", "properties": {"script": "true", "count": "many"}}), "does not take them"),
        (json!({"buildername": "script", "properties": script, "sourcestamp": {"branch": "x"}}), "branch"),
        (
            json!({"buildername": "restricted-script", "properties": script}),
            "buildbot-bridge:builder-name:restricted-script",
        ),
    ] {
        assert_malformed(&bench, payload, problem).await;
    }
    assert!(bench.master.requests().await.is_empty());
}

async fn assert_malformed(bench: &Bench, payload: Value, problem: &str) {
    let task_id = bench.task(payload.clone(), &[]).await;
    let reasons = bench.resolved(&task_id).await;
    let log = bench.log(&task_id, 0).await;
    assert_eq!(reasons, ["malformed-payload"], "{payload}: {log}");
    assert!(log.contains(problem), "{payload}: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_is_kept_for_some_is_theirs() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    for scope in
        ["buildbot-bridge:builder-name:restricted-*", "project:releng:buildbot-bridge:builder-name:restricted-script"]
    {
        let payload = json!({"buildername": "restricted-script", "properties": {"script": "true"}});
        let task_id = bench.task(payload, &[scope]).await;
        assert_eq!(bench.resolved(&task_id).await, ["completed"], "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_buildbot_drops_for_another_is_told() {
    let Some(mut bench) = Bench::new().await else { return };
    // Nothing can begin, so that requests wait for each other.
    bench.master.kill_worker().await;
    let _bridge = bench.bridge();
    let payload = || json!({"buildername": "collapsing", "properties": {"script": "true"}});
    let first = bench.task(payload(), &[]).await;
    bench.printed(&first, 0, "Buildbot has taken request").await;
    let second = bench.task(payload(), &[]).await;
    assert_eq!(bench.resolved(&first).await, ["malformed-payload"]);
    let log = bench.log(&first, 0).await;
    assert!(log.contains("collapseRequests=False"), "{log}");
    bench.master.restart_worker();
    assert_eq!(bench.resolved(&second).await, ["completed"]);
}
