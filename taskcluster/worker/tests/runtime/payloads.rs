//! Payloads that no run can be made of, and content that is mounted.

use serde_json::{Map, json};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::days;
use taskcluster_core::{Clock, SystemClock};
use taskcluster_worker::Settings;
use taskcluster_worker::payload::Refused;
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};
use taskcluster_worker::testing::task_with_payload;

use crate::bench::Bench;

#[tokio::test]
async fn every_violation_of_the_schema_is_in_the_log_of_a_malformed_payload() {
    let bench = Bench::new().await;
    let payload = json!({"mock": [{"dance": 1}], "features": {"flying": true}, "maxRunTime": 0, "unknown": 1});
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    for part in ["payload/mock/0", "flying", "payload/maxRunTime", "unknown"] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
}

#[tokio::test]
async fn what_an_operator_forbids_is_a_malformed_payload() {
    let bench = Bench::new().await;
    let forbid = |settings: &mut Settings| {
        settings.refused = Refused::default().feature("taskclusterProxy").property("mounts");
    };
    let mounts = json!([{"file": "f", "content": {"raw": "text"}}]);
    let task_id =
        bench.add(json!({"mock": [{"print": "never"}], "features": {"taskclusterProxy": true}, "mounts": mounts}));
    bench.run_with(forbid, None).await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    let log = bench.log(&task_id);
    for part in [
        "payload/features/taskclusterProxy: this worker does not offer it",
        "payload/mounts: this worker does not offer it",
    ] {
        assert!(log.contains(part) && !log.contains("never"), "{part} is missing:\n{log}");
    }
    // Whoever does not want it need not say so, nor is it worth a word that it is not wanted.
    let task_id = bench.add(json!({"mock": [], "features": {"taskclusterProxy": false}, "mounts": []}));
    bench.run_with(forbid, None).await;
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
}

#[tokio::test]
async fn a_log_that_may_not_be_read_meanwhile_is_there_afterwards() {
    let bench = Bench::new().await;
    let quiet = |settings: &mut Settings| settings.live_logs = false;
    let task_id = bench.add(json!({"mock": [{"print": "told"}]}));
    bench.run_with(quiet, None).await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(bench.log(&task_id).contains("told"));
    assert_eq!(bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created["storageType"], "link");
    let name = format!("artifacts/{}", LIVE_LOG.replace('/', "%2F"));
    let made = bench.queue.received().iter().filter(|request| request.line.ends_with(&name)).count();
    assert_eq!(made, 1, "it led nowhere before");
    let task_id = bench.add(json!({"mock": [], "features": {"liveLog": true}}));
    bench.run_with(quiet, None).await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    assert!(bench.log(&task_id).contains("payload/features/liveLog: this worker does not offer it"));
}

#[tokio::test]
async fn reasons_of_all_plugins_are_in_the_log_of_a_malformed_payload() {
    let bench = Bench::new().await;
    let late = SystemClock.now() + days(300);
    let (task_id, state) = bench
        .resolve(json!({
            "mock": [{"print": "never"}],
            "maxRunTime": 7201,
            "env": {"A=B": "x"},
            "mounts": [
                {"directory": "cache", "cacheName": "not-mine"},
                {"file": "f", "content": {"taskId": TaskId::new(), "artifact": "public/x"}},
            ],
            "artifacts": [
                {"type": "file", "path": "a", "name": "twice"}, {"type": "file", "path": "b", "name": "twice"},
                {"type": "file", "path": "c", "name": BACKING_LOG},
                {"type": "file", "path": "d", "expires": late},
            ],
        }))
        .await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    for part in [
        "7201 seconds",
        "A=B",
        "test:cache:not-mine",
        "not among the dependencies",
        "two artifacts have the name \"twice\"",
        "live_backing.log",
        "\"d\" expires after the task",
    ] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    assert!(!log.contains("never"));
}

#[tokio::test]
async fn mounted_content_that_does_not_exist_is_a_malformed_payload() {
    let bench = Bench::new().await;
    let other = bench.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else");
    bench.queue.add_artifact(&other, "public/never", Err("file-missing-on-worker"));
    for artifact in ["public/none", "public/never"] {
        let payload =
            json!({"mock": [], "mounts": [{"file": "f", "content": {"taskId": other, "artifact": artifact}}]});
        let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
        bench.run().await;
        assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
        assert!(bench.log(&task_id).contains(artifact));
    }
}

#[tokio::test]
async fn content_is_mounted_and_its_hash_checked() {
    let bench = Bench::new().await;
    let other = bench.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else");
    bench.queue.add_artifact(&other, "public/text", Ok("from afar"));
    let hash = "0000000000000000000000000000000000000000000000000000000000000000";
    let content = json!({"taskId": other, "artifact": "public/text"});
    let payload = json!({
        "mock": [{"printFile": "near"}, {"printFile": "far"}],
        "mounts": [{"file": "near", "content": {"raw": "from here "}}, {"file": "far", "content": content}],
    });
    let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
    bench.run().await;
    assert!(bench.log(&task_id).contains("from here from afar"));
    let content = json!({"taskId": other, "artifact": "public/text", "sha256": hash});
    let payload = json!({"mock": [], "mounts": [{"file": "far", "content": content}]});
    let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    assert!(bench.log(&task_id).contains("hashes to"));
}

#[tokio::test]
async fn a_directory_that_brings_a_name_twice_is_a_malformed_payload() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "dir/x", "text": ""}}],
        "artifacts": [
            {"type": "file", "path": "dir/x", "name": "public/dir/x"},
            {"type": "directory", "path": "dir", "name": "public/dir"},
        ],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception malformed-payload");
    assert!(bench.log(&task_id).contains("public/dir/x"));
}
