//! The program as a provisioner starts it.

mod metadata;
mod stage;

use std::process::Stdio;

use serde_json::json;
use taskcluster_worker::plugins::BACKING_LOG;
use taskcluster_worker::testing::FakeQueue;

use stage::{PASSWORD, Stage, TIMEOUT, TOKEN, end_of};

#[tokio::test]
async fn it_fetches_its_secret_runs_a_task_and_ends_when_it_is_not_needed() {
    let stage = Stage::new().await;
    stage.answers(false, "there may be work soon");
    let task_id = stage.add_task("env; echo READY");
    let not_needed = async {
        assert_eq!(stage.queue.resolved(&task_id).await, "completed");
        // It is told twice that it is needed.
        let asked =
            stage.count("200 GET /api/provisioner/v1/worker-type/linux/instance/i-1/should-terminate?idle=true");
        stage.until("should-terminate?idle=true", asked + 2).await;
        stage.answers(true, "there is no work");
    };
    let mut worker = stage.worker();
    let ((code, text), ()) = tokio::join!(end_of(&stage, &mut worker), not_needed);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the provisioner says: there is no work") && text.contains("why=Idle"), "{text}");
    assert!(text.contains("isolation=none") && text.contains("capacity=2"), "{text}");

    let places = [
        "200 GET /api/provisioner/v1/secret/",
        "204 GET /api/provisioner/v1/instance-started/i-1/",
        "204 DELETE /api/provisioner/v1/secret/",
        "... POST /api/queue/v1/claim-work/pool%2Flinux",
    ]
    .map(|step| stage.place(step));
    assert!(places.is_sorted(), "{:#?}", stage.lines());

    let claim = stage.queue.request("claim-work").await;
    assert!(claim.headers["authorization"].to_str().unwrap().contains("id=\"worker/i-1\""), "{claim:?}");
    let claim: serde_json::Value = serde_json::from_slice(&claim.body).unwrap();
    assert_eq!(claim, json!({"workerGroup": "eu", "workerId": "i-1", "tasks": 2}));

    let log = stage.queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("READY"), "{log}");
    for secret in [TOKEN, PASSWORD, &stage.access_token, "TASKCLUSTER_USER_DATA", "securityToken"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn without_its_secret_it_ends_with_a_line_that_says_so() {
    let stage = Stage::new().await;
    let mut user_data = stage.user_data();
    user_data["securityToken"] = json!("AAAAAAAAQAAAAAAAAAAAAA");
    let mut worker = stage.worker();
    let (code, text) = end_of(&stage, worker.env("TASKCLUSTER_USER_DATA", user_data.to_string())).await;
    assert_eq!(code, Some(1), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(
        errors[0].contains("does not know the token of the worker i-1") && text.ends_with(&format!("{}\n", errors[0]))
    );
    assert!(!stage.has("claim-work"), "{:#?}", stage.lines());
}

#[tokio::test]
async fn killed_before_its_secret_is_removed_it_begins_anew() {
    let stage = Stage::new().await;
    stage.provisioner.on_remove_secret(|_, _| Err(taskcluster_server::Failure::internal("away")));
    let task_id = stage.add_task("echo READY");
    let mut first = stage.worker().stderr(Stdio::null()).spawn().unwrap();
    // It does not give up, and claims nothing meanwhile.
    stage.until("500 DELETE /api/provisioner/v1/secret/", 2).await;
    first.start_kill().unwrap();
    tokio::time::timeout(TIMEOUT, first.wait()).await.expect("it is killed").unwrap();
    assert!(!stage.has("claim-work"), "{:#?}", stage.lines());

    stage.provisioner.on_remove_secret(|_, _| Ok(().into()));
    let (code, text) = end_of(&stage, &mut stage.worker()).await;
    assert_eq!((code, stage.queue.state(&task_id).as_str()), (Some(0), "completed"), "{text}");
    // Nobody has the secret a second time.
    let (code, text) = end_of(&stage, &mut stage.worker()).await;
    assert_eq!(code, Some(1), "{text}");
}

#[tokio::test]
async fn a_secret_that_configures_nothing_stays_where_it_is() {
    let stage = Stage::new().await;
    let issuer = taskcluster_core::Credentials::new("provisioner", "the-token-of-the-provisioner");
    let now = taskcluster_core::Timestamp::now();
    let credentials = issuer.temporary(&[""; 0], now, now + TIMEOUT, Some("worker/i-1")).unwrap();
    stage.hands_out(&credentials, &json!({"config": {"colour": "red"}}));
    let (code, text) = end_of(&stage, &mut stage.worker()).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot use config in the secret of this worker: there is no key \"colour\""), "{text}");
    assert!(!stage.has("DELETE") && !stage.has("claim-work"), "{:#?}", stage.lines());
}

#[tokio::test]
async fn what_only_looks_leaves_the_secret_alone() {
    let stage = Stage::new().await;
    let user_data = stage.user_data().to_string();
    let look = async |verb: &str, arguments: &[&str]| {
        let mut program = stage.program(verb);
        end_of(&stage, program.env("TASKCLUSTER_USER_DATA", &user_data).args(arguments)).await
    };
    let (code, text) = look("check", &[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("with what the user data say"), "{text}");
    let (code, text) = look("check", &["--task-queue-id", "a/b"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("task_queue_id is \"a/b\"") && text.contains("\"pool/linux\""), "{text}");
    let (_, text) = look("doctor", &[]).await;
    assert!(text.contains("a provisioner has started this worker"), "{text}");
    assert_eq!(stage.provisioner.calls().len(), 0);
}

#[tokio::test]
async fn a_worker_that_is_started_by_hand_is_told_as_before() {
    let (stage, queue) = (Stage::new().await, FakeQueue::start().await.unwrap());
    let mut worker = stage.program("run");
    worker.args(["--root-url", queue.root_url(), "--task-queue-id", "a/b", "--client-id", "c", "--isolation", "none"]);
    worker.args(["--required-disk-space", "0", "--idle-timeout", "1"]).env("NATIVE_WORKER_ACCESS_TOKEN", "t");
    let (code, text) = end_of(&stage, &mut worker).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(stage.provisioner.calls().len(), 0);
}
