//! A run that asks for it is signed for, and what is signed holds.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::Digest;
use taskcluster_core::Credentials;
use taskcluster_worker::plugins::{
    ADDITIONAL_DATA, Artifacts, BackingLog, CERTIFIED_LOG, CHAIN_OF_TRUST, ChainOfTrust, SigningKey,
};
use taskcluster_worker::testing::{FakeQueue, MockEngine, task_with_payload};
use taskcluster_worker::{Identity, Settings, Shutdown, Worker};

async fn run(key: Option<SigningKey>, payload: Value) -> (FakeQueue, taskcluster_core::TaskId) {
    let queue = FakeQueue::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
    let settings = Settings::new(dir.path()).with_task_limit(1);
    let worker = Worker::builder(queue.root_url(), identity, MockEngine::default(), settings)
        .credentials(Credentials::new("the-worker", "the-secret-token-of-the-worker"))
        .plugin(Artifacts::default())
        .plugin(BackingLog::default())
        .plugin(ChainOfTrust::new(key).with_environment("region", "desk"))
        .build()
        .unwrap();
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    tokio::time::timeout(Duration::from_secs(60), worker.run(Shutdown::new())).await.expect("it ends").unwrap();
    (queue, task_id)
}

#[tokio::test]
async fn a_run_is_signed_for() {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::create(&dir.path().join("key")).unwrap();
    let public = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key.public_key()).unwrap();
    let payload = json!({
        "mock": [{"write": {"path": "result", "text": "42"}}, {"exit": 1}],
        "artifacts": [
            {"type": "file", "path": "result", "name": "public/result"},
            {"type": "file", "path": "result", "name": "public/smaller", "contentEncoding": "gzip"},
        ],
        "features": {"chainOfTrust": true},
    });
    let (queue, task_id) = run(Some(key), payload).await;
    assert_eq!(queue.state(&task_id), "failed", "a failure is signed for as well");
    let content = |name: &str| queue.artifact(&task_id, name).unwrap().content.unwrap();
    let (text, signature) = (content(CHAIN_OF_TRUST), content(&format!("{CHAIN_OF_TRUST}.sig")));
    let verifier = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    verifier.verify(&text, &signature).unwrap();
    let statement: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(statement["chainOfTrustVersion"], 1);
    assert_eq!((&statement["taskId"], &statement["runId"]), (&json!(task_id), &json!(0)));
    assert_eq!((&statement["workerGroup"], &statement["workerId"]), (&json!("group"), &json!("worker")));
    assert_eq!(statement["environment"], json!({"region": "desk"}));
    assert_eq!(statement["task"]["payload"]["features"]["chainOfTrust"], true);
    let names: Vec<&String> = statement["artifacts"].as_object().unwrap().keys().collect();
    assert_eq!(names, [CERTIFIED_LOG, "public/logs/live_backing.log", "public/result", "public/smaller"]);
    for name in names {
        // Of the content, however it is stored.
        let hash: String =
            sha2::Sha256::digest(queue.text(&task_id, name)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(statement["artifacts"][name]["sha256"], hash, "{name}");
    }
}

/// A task that has this to add; gives how it ended, and what was signed.
async fn adds(data: &str) -> (String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::create(&dir.path().join("key")).unwrap();
    let payload = json!({
        "mock": [{"write": {"path": ADDITIONAL_DATA, "text": data}}],
        "features": {"chainOfTrust": true},
    });
    let (queue, task_id) = run(Some(key), payload).await;
    let statement = serde_json::from_str(&queue.text(&task_id, CHAIN_OF_TRUST)).unwrap();
    (queue.state(&task_id), statement)
}

#[tokio::test]
async fn a_task_adds_to_what_is_signed_but_takes_nothing_of_the_workers_place() {
    let added = json!({"source": {"revision": "abc"}, "artifacts": {"public/forged": {"sha256": "0"}}, "runId": 7});
    let (state, statement) = adds(&added.to_string()).await;
    assert_eq!((&*state, &statement["source"]["revision"]), ("completed", &json!("abc")));
    assert_eq!((&statement["runId"], &statement["artifacts"]["public/forged"]), (&json!(0), &Value::Null));
    for broken in ["[]", "{"] {
        let (state, statement) = adds(broken).await;
        assert_eq!((&*state, &statement["chainOfTrustVersion"]), ("failed", &json!(1)), "{broken}");
    }
}

#[tokio::test]
async fn nothing_is_signed_for_who_does_not_ask_and_nobody_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::create(&dir.path().join("key")).unwrap();
    let (queue, task_id) = run(Some(key), json!({"mock": []})).await;
    assert_eq!(queue.artifact_names(&task_id), ["public/logs/live_backing.log"]);
    let (queue, task_id) = run(None, json!({"mock": [], "features": {"chainOfTrust": true}})).await;
    assert_eq!(queue.state(&task_id), "exception malformed-payload");
    assert!(queue.text(&task_id, "public/logs/live_backing.log").contains("no key to sign with"));
}
