//! How a run ends whose code has ended, and what is kept of it.

use serde_json::json;
use taskcluster_worker::artifacts::ArtifactLimits;
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};

use crate::bench::{Bench, Trouble};

#[tokio::test]
async fn success_is_completed_with_log_and_artifacts() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "mock": [
                {"print": "hello\n"}, {"write": {"path": "out/a.txt", "text": "A"}}, {"write": {"path": "b", "text": "B"}},
                {"printEnv": "TASK_ID"}, {"printEnv": "MINE"},
            ],
            "env": {"MINE": "is here", "TASK_ID": "cannot be changed"},
            "artifacts": [
                {"type": "directory", "path": "out", "name": "public/out"},
                {"type": "file", "path": "b", "name": "public/b", "contentType": "text/x-b"},
            ],
        }))
        .await;
    assert_eq!(state, "completed");
    let log = bench.log(&task_id);
    assert!(log.contains("hello\n") && log.contains(&format!("{task_id}is here")), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/out/a.txt"), "A");
    assert_eq!(bench.queue.text(&task_id, "public/b"), "B");
    assert_eq!(bench.queue.artifact(&task_id, "public/b").unwrap().created["contentType"], "text/x-b");
    let live = bench.queue.artifact(&task_id, LIVE_LOG).unwrap();
    assert_eq!(
        (live.created["storageType"].as_str(), live.created["artifact"].as_str()),
        (Some("link"), Some(BACKING_LOG))
    );
    let events: Vec<String> = bench.events.lock().unwrap().iter().map(|event| format!("{event:?}")).collect();
    assert!(
        events.first().unwrap().starts_with("Claimed") && events.last().unwrap().starts_with("Resolved"),
        "{events:?}"
    );
    assert!(events.iter().any(|event| event.starts_with("Started")));
    assert!(events.iter().any(|event| event.starts_with("Log") && event.contains("hello")));
}

#[tokio::test]
async fn an_artifact_is_stored_as_gzip_unless_its_task_or_its_name_says_otherwise() {
    let bench = Bench::new().await;
    let text = "again and again, ".repeat(1000);
    let file =
        |name: &str, encoding: &str| json!({"type": "file", "path": "a", "name": name, "contentEncoding": encoding});
    let unsaid = |name: &str| json!({"type": "file", "path": "a", "name": name});
    let (task_id, state) = bench
        .resolve(json!({
            "mock": [{"write": {"path": "a", "text": text}}],
            "artifacts": [
                file("public/small.zip", "gzip"), file("public/large", "identity"), unsaid("public/plain"), unsaid("public/a.zip"),
            ],
        }))
        .await;
    assert_eq!(state, "completed");
    for (name, encoding) in [
        ("public/small.zip", json!("gzip")),
        ("public/large", json!(null)),
        ("public/plain", json!("gzip")),
        ("public/a.zip", json!(null)),
    ] {
        let artifact = bench.queue.artifact(&task_id, name).unwrap();
        assert_eq!(artifact.created["contentEncoding"], encoding, "{name}");
        assert_eq!(artifact.content.unwrap().len() < text.len(), encoding == "gzip", "{name}");
        assert_eq!(bench.queue.text(&task_id, name), text, "{name}");
    }
}

#[tokio::test]
async fn failing_code_is_failed_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "a", "text": "A"}}, {"exit": 3}],
        "artifacts": [{"type": "file", "path": "a", "name": "public/a"}],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    assert_eq!(bench.queue.text(&task_id, "public/a"), "A");
    assert!(bench.log(&task_id).contains("[taskcluster:error] exit code 3"));
}

#[tokio::test]
async fn what_is_too_large_becomes_an_error_and_the_run_fails_unless_it_is_optional() {
    let bench = Bench::new().await;
    let payload = |optional: bool| {
        json!({
            "mock": [{"write": {"path": "large", "text": "12345678901"}}, {"write": {"path": "small", "text": "1234567890"}}],
            "artifacts": [
                {"type": "file", "path": "large", "name": "public/large", "optional": optional},
                {"type": "file", "path": "small", "name": "public/small"},
            ],
        })
    };
    for (optional, expected) in [(false, "failed"), (true, "completed")] {
        let task_id = bench.add(payload(optional));
        let limits = ArtifactLimits::default().with_each(10);
        bench.run_with(|settings| *settings = settings.clone().with_artifact_limits(limits), None).await;
        let log = bench.log(&task_id);
        assert_eq!(bench.queue.state(&task_id), expected, "{log}");
        let error = bench.queue.artifact(&task_id, "public/large").unwrap().created;
        assert_eq!(error["reason"], "too-large-file-on-worker");
        assert!(log.contains("large has 11 bytes; this worker takes artifacts of 10 bytes at most"), "{log}");
        assert_eq!(bench.queue.text(&task_id, "public/small"), "1234567890");
    }
}

#[tokio::test]
async fn a_listed_exit_code_is_intermittent() {
    let bench = Bench::new().await;
    let (_, state) = bench.resolve(json!({"mock": [{"exit": 4}], "onExitStatus": {"retry": [4]}})).await;
    assert_eq!(state, "exception intermittent-task");
}

#[tokio::test]
async fn code_that_runs_too_long_is_failed_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "a", "text": "A"}}, {"forever": "running"}],
        "maxRunTime": 1,
        "artifacts": [{"type": "file", "path": "a", "name": "public/a"}],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    assert_eq!(bench.queue.text(&task_id, "public/a"), "A");
    assert!(bench.log(&task_id).contains("maxRunTime of 1 s"));
}

#[tokio::test]
async fn a_missing_artifact_is_an_error_artifact_and_fails_unless_optional() {
    let bench = Bench::new().await;
    let artifact = json!({"type": "file", "path": "none", "name": "public/none"});
    let (task_id, state) = bench.resolve(json!({"mock": [], "artifacts": [artifact]})).await;
    assert_eq!(state, "failed");
    let created = bench.queue.artifact(&task_id, "public/none").unwrap().created;
    assert_eq!((&created["storageType"], &created["reason"]), (&json!("error"), &json!("file-missing-on-worker")));

    let artifact = json!({"type": "file", "path": "none", "name": "public/none", "optional": true});
    let (task_id, state) = bench.resolve(json!({"mock": [], "artifacts": [artifact]})).await;
    assert_eq!(state, "completed");
    assert_eq!(bench.queue.artifact(&task_id, "public/none").unwrap().created["storageType"], "error");

    let artifact = json!({"type": "directory", "path": "f", "name": "public/f"});
    let payload = json!({"mock": [{"write": {"path": "f", "text": ""}}], "artifacts": [artifact]});
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    let created = bench.queue.artifact(&task_id, "public/f").unwrap().created;
    assert_eq!(created["reason"], "invalid-resource-on-worker");
}

#[tokio::test]
async fn a_failed_upload_is_an_internal_error() {
    let bench = Bench::new().await;
    bench.queue.fail_uploads(true);
    let artifact = json!({"type": "file", "path": "a", "name": "public/a"});
    let payload = json!({"mock": [{"write": {"path": "a", "text": "A"}}], "artifacts": [artifact]});
    let (_, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception internal-error");
}

#[tokio::test]
async fn a_log_that_cannot_be_uploaded_is_an_internal_error() {
    let bench = Bench::new().await;
    bench.queue.fail_uploads(true);
    let (_, state) = bench.resolve(json!({"mock": []})).await;
    assert_eq!(state, "exception internal-error");
}

#[tokio::test]
async fn a_fault_of_the_worker_gives_the_run_back_before_the_code_ran_and_is_internal_after() {
    for (hook, state) in [
        ("build", "exception worker-shutdown"),
        ("started", "exception internal-error"),
        ("stopped", "exception internal-error"),
    ] {
        let bench = Bench::new().await;
        let acts = if hook == "started" { json!([{"forever": "running"}]) } else { json!([{"print": "ran"}]) };
        let task_id = bench.add(json!({"mock": acts}));
        bench.run_with(|_| {}, Some(Trouble::At(hook))).await;
        assert_eq!(bench.queue.state(&task_id), state, "{hook}");
        assert!(bench.log(&task_id).contains("a disk is broken"), "{hook}");
    }
}
