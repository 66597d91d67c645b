//! What ends how: each row of the table in the README of taskcluster-worker that commands can reach, with real processes.

use std::time::Duration;

use serde_json::{Map, Value, json};
use taskcluster_core::{Clock, SystemClock, TaskId, time::days};
use taskcluster_worker::testing::task_with_payload;

use crate::bench::Bench;

const FILE: &str = "echo text > file";

fn sh(script: &str) -> Value {
    json!([["/bin/sh", "-c", script]])
}

fn artifact(path: &str) -> Value {
    json!({"type": "file", "path": path, "name": format!("public/{path}")})
}

/// Every reason is in the log, and nothing was run.
async fn malformed(payload: Value, reasons: &[&str]) {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(payload).await;
    let log = bench.log(&task_id);
    assert_eq!(state, "exception malformed-payload", "{log}");
    for reason in reasons {
        assert!(log.contains(reason), "{reason:?} is missing:\n{log}");
    }
    assert!(!log.contains("=== Task Starting ==="), "{log}");
}

#[tokio::test]
async fn a_payload_that_breaks_the_schema_is_malformed() {
    let payload = json!({"command": "true", "env": {"A": 1}, "maxRunTime": "long", "unknown": 1});
    malformed(payload, &["payload/command", "payload/env/A", "payload/maxRunTime", "unknown"]).await;
}

#[tokio::test]
async fn an_unknown_feature_is_malformed() {
    malformed(json!({"command": sh("true"), "features": {"flying": true}}), &["flying"]).await;
}

#[tokio::test]
async fn an_artifact_that_outlives_its_task_is_malformed() {
    let late = SystemClock.now() + days(300);
    let artifact = json!({"type": "file", "path": "late", "expires": late});
    malformed(json!({"command": sh("true"), "artifacts": [artifact]}), &["\"late\" expires after the task"]).await;
}

#[tokio::test]
async fn two_artifacts_of_one_name_are_malformed() {
    let payload = json!({"command": sh("true"), "artifacts": [artifact("a"), artifact("a")]});
    malformed(payload, &["two artifacts have the name \"public/a\""]).await;
}

#[tokio::test]
async fn mounted_content_that_does_not_exist_is_malformed() {
    let bench = Bench::new().await;
    let other = bench.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else");
    let content = json!({"taskId": other, "artifact": "public/none"});
    let payload = json!({"command": sh("true"), "mounts": [{"file": "f", "content": content}]});
    let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    assert!(bench.log(&task_id).contains("public/none"));
}

#[tokio::test]
async fn a_machine_that_cannot_begin_gives_the_task_back() {
    let bench = Bench::new().await;
    let breaking = async {
        bench.queue.request("claim-work").await;
        // Where tasks get their directories, there is now a file.
        let tasks = bench.dir.path().join("work/tasks");
        std::fs::remove_dir(&tasks).unwrap();
        std::fs::write(&tasks, "").unwrap();
        bench.script("true")
    };
    let (_, task_id) = tokio::join!(bench.run(), breaking);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert!(bench.log(&task_id).contains("cannot make the task's directory"), "{}", bench.log(&task_id));
}

#[tokio::test]
async fn a_code_other_than_zero_is_failed_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let payload = json!({"command": sh(&format!("{FILE}; exit 3")), "artifacts": [artifact("file")]});
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    assert!(bench.log(&task_id).contains("[taskcluster:error] exit code 3"));
    assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n");
}

#[tokio::test]
async fn a_listed_code_is_intermittent_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "command": sh(&format!("{FILE}; exit 75")),
            "artifacts": [artifact("file")],
            "onExitStatus": {"retry": [74, 75]},
        }))
        .await;
    assert_eq!(state, "exception intermittent-task");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n");
}

#[tokio::test]
async fn a_missing_artifact_is_failed_unless_it_is_optional() {
    for (optional, ends) in [(false, "failed"), (true, "completed")] {
        let bench = Bench::new().await;
        let mut missing = artifact("none");
        missing["optional"] = json!(optional);
        let payload = json!({"command": sh(FILE), "artifacts": [missing, artifact("file")]});
        let (task_id, state) = bench.resolve(payload).await;
        assert_eq!(state, ends);
        let created = bench.queue.artifact(&task_id, "public/none").unwrap().created;
        assert_eq!((&created["storageType"], &created["reason"]), (&json!("error"), &json!("file-missing-on-worker")));
        assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n", "the others are kept");
    }
}

#[tokio::test]
async fn an_artifact_of_another_type_is_failed() {
    let bench = Bench::new().await;
    let directory = json!({"type": "directory", "path": "file", "name": "public/file"});
    let (task_id, state) = bench.resolve(json!({"command": sh(FILE), "artifacts": [directory]})).await;
    assert_eq!(state, "failed");
    let created = bench.queue.artifact(&task_id, "public/file").unwrap().created;
    assert_eq!(created["reason"], "invalid-resource-on-worker");
}

#[tokio::test]
async fn an_upload_that_fails_is_an_internal_error() {
    let bench = Bench::new().await;
    bench.queue.fail_uploads(true);
    let (_, state) = bench.resolve(json!({"command": sh(FILE), "artifacts": [artifact("file")]})).await;
    assert_eq!(state, "exception internal-error");
}

/// Wait until the code runs, then let the queue answer every reclaim with that status.
async fn lose_the_claim(claim: Duration, status: u16) -> (Bench, TaskId) {
    let bench = Bench::new().await;
    bench.queue.claim_for(claim);
    let task_id = bench.script("echo READY $$; while :; do sleep 1000; done");
    let watch = async {
        let pid = bench.line("READY ").await;
        bench.queue.fail_reclaims(status);
        crate::bench::gone(&pid).await;
    };
    let late = |builder: taskcluster_native_worker::NativeWorkerBuilder| {
        builder.settings(|settings| settings.cancel_poll = Duration::from_secs(3600))
    };
    tokio::join!(bench.run_as(late), watch);
    (bench, task_id)
}

#[tokio::test]
async fn a_claim_that_is_somebody_elses_is_stopped_without_a_report() {
    let (bench, task_id) = lose_the_claim(Duration::from_secs(4), 409).await;
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    assert!(bench.log(&task_id).contains("the run is stopped"));
}

#[tokio::test]
async fn a_claim_that_cannot_be_renewed_is_stopped_when_it_ends() {
    let (bench, task_id) = lose_the_claim(Duration::from_secs(6), 503).await;
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    let reclaims = bench.queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count();
    assert!(reclaims > 1, "it was tried again");
}
