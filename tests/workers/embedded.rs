//! The worker inside of `taskcluster up`, which has credentials of its own.

use futures_util::FutureExt;
use harness::{Ground, Process, program, soon, task, until};
use serde_json::json;
use taskcluster::purge_cache::PurgeCacheRequest;
use taskcluster::{TaskQueueId, object};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_gives_its_runs_back_at_once() {
    let Some(program) = program() else { return };
    let ground = Ground { serve: Some("local/native".to_owned()), ..Ground::default() };
    let mut process = soon(Process::start(program, ground)).await.unwrap();
    let (root, folder) = (process.root(), tempfile::tempdir().unwrap());
    let script = "touch \"$DIR/$RUN_ID\"; while ! test -e \"$DIR/go\"; do sleep 0.02; done";
    let mut definition = task(root.now()).with_task_queue_id("local/native".parse::<TaskQueueId>().unwrap());
    definition.payload = object! {
        "command": json!([["/bin/sh", "-c", script]]),
        "env": json!({"DIR": folder.path()}),
        "maxRunTime": 600,
    };
    let task_id = root.create(&definition).await;
    until(|| async { folder.path().join("0").exists().then_some(()) }).await;
    process.kill().await.unwrap();

    std::fs::write(folder.path().join("go"), "").unwrap();
    soon(process.restart()).await.unwrap();
    // Long before the claim ends, which takes twenty minutes.
    let root = process.root();
    let status = until(|| root.status(&task_id).map(|status| (status.state.as_str() == "completed").then_some(status)));
    let runs: Vec<_> = status.await.runs.iter().map(|run| run.reason_resolved.clone().unwrap().to_string()).collect();
    assert_eq!(runs, ["worker-shutdown", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_stays_so_though_everything_is_killed() {
    let Some(program) = program() else { return };
    let ground = Ground { serve: Some("local/native".to_owned()), ..Ground::default() };
    let mut process = soon(Process::start(program, ground)).await.unwrap();
    let (root, folder) = (process.root(), tempfile::tempdir().unwrap());
    // Its first run is killed in the midst of using the cache.
    let script = "test -e kept/left && echo > \"$DIR/used.$RUN_ID\"; touch kept/left \"$DIR/$RUN_ID\"; \
        while ! test -e \"$DIR/go\"; do sleep 0.02; done";
    let queue: TaskQueueId = "local/native".parse().unwrap();
    let mut definition =
        task(root.now()).with_task_queue_id(queue.clone()).with_scopes(["generic-worker:cache:target"]);
    definition.payload = object! {
        "command": json!([["/bin/sh", "-c", script]]),
        "env": json!({"DIR": folder.path()}),
        "mounts": json!([{"directory": "kept", "cacheName": "target"}]),
        "maxRunTime": 600,
    };
    let task_id = root.create(&definition).await;
    until(|| async { folder.path().join("0").exists().then_some(()) }).await;
    let purge = PurgeCacheRequest::new("target");
    soon(root.purge_cache().purge_cache(queue.as_ref(), &purge).into_future()).await.unwrap();
    process.kill().await.unwrap();

    std::fs::write(folder.path().join("go"), "").unwrap();
    soon(process.restart()).await.unwrap();
    let root = process.root();
    until(|| root.state(&task_id).map(|state| (state == "completed").then_some(()))).await;
    assert!(folder.path().join("1").exists() && !folder.path().join("used.1").exists());
    // What was made since then is good.
    let task_id = root.create(&definition).await;
    until(|| root.state(&task_id).map(|state| (state == "completed").then_some(()))).await;
    assert!(folder.path().join("used.0").exists());
}
