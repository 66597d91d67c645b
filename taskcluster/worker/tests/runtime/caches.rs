//! Caches, and the disk that they are on.

use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_worker::Event;
use taskcluster_worker::caches::CacheStore;

use crate::bench::{Bench, TIMEOUT};

#[tokio::test]
async fn caches_persist_from_task_to_task() {
    let bench = Bench::new().await;
    let mounts = json!([{"directory": "kept", "cacheName": "c"}]);
    let scoped = |task: &mut Value| task["scopes"] = json!(["test:cache:*"]);
    bench.add_with(json!({"mock": [{"write": {"path": "kept/f", "text": "remembered"}}], "mounts": mounts}), scoped);
    bench.run().await;
    let second = bench.add_with(
        json!({"mock": [{"printFile": "kept/f"}, {"exit": 9}], "mounts": mounts, "onExitStatus": {"purgeCaches": [9]}}),
        scoped,
    );
    bench.run().await;
    assert!(bench.log(&second).contains("remembered"));
    let third = bench.add_with(json!({"mock": [{"printFile": "kept/f"}], "mounts": mounts}), scoped);
    bench.run().await;
    assert_eq!(bench.queue.state(&third), "failed", "the cache was purged");
}

#[tokio::test]
async fn a_cache_is_there_for_artifacts_before_it_is_purged() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "kept/report", "text": "what is wrong"}}, {"exit": 9}],
        "mounts": [{"directory": "kept", "cacheName": "target"}],
        "artifacts": [{"type": "file", "path": "kept/report", "name": "public/report"}],
        "onExitStatus": {"purgeCaches": [9]},
    });
    let task_id = bench.add_with(payload, |task| task["scopes"] = json!(["test:cache:target"]));
    bench.run().await;
    assert_eq!(bench.queue.text(&task_id, "public/report"), "what is wrong");
    assert!(!bench.dir.path().join("caches/target/0").exists());
}

#[tokio::test]
async fn a_deployment_without_purge_cache_is_asked_once_and_only_when_there_are_caches() {
    let bench = Bench::new().await;
    let payload = json!({"mock": [], "mounts": [{"directory": "kept", "cacheName": "target"}]});
    for _ in 0..4 {
        bench.add_with(payload.clone(), |task| task["scopes"] = json!(["test:cache:target"]));
    }
    let done = bench.run_with(|settings| settings.task_limit = Some(4), None).await;
    assert_eq!(done.runs, 4);
    let asked = bench.queue.received().into_iter().filter(|request| request.line.contains("/purge-cache/"));
    let asked: Vec<String> = asked.map(|request| request.line).collect();
    assert_eq!(asked, ["GET /api/purge-cache/v1/purge-cache/test%2Fworker"]);
}

#[tokio::test]
async fn nothing_is_claimed_while_the_disk_is_short_and_caches_go_for_it() {
    let bench = Bench::new().await;
    let caches = CacheStore::open(bench.dir.path().join("caches")).unwrap();
    let task_id = bench.add(json!({"mock": []}));
    let worker = bench.worker(|settings| settings.required_disk_space = u64::MAX, None).await;
    let looking_on = async {
        // A cache that nobody uses is gone whenever the worker has looked.
        for name in ["first", "second", "third"] {
            let cache = caches.acquire(name).unwrap().path().to_owned();
            while cache.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        bench.shutdown.now();
    };
    let working = async { tokio::join!(worker.run(bench.shutdown.clone()), looking_on) };
    let (done, ()) = tokio::time::timeout(TIMEOUT, working).await.expect("the worker looks again");
    let said = bench.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Trouble { .. })).count();
    assert_eq!((done.unwrap().runs, said), (0, 1), "it is said once");
    assert_eq!(bench.queue.state(&task_id), "pending");
}
