//! Engines of one function: what ends how, and that a task reaches nothing outside its folder.

use serde_json::{Value, json};
use taskcluster_core::{Credentials, TaskId};
use taskcluster_worker::function::{Job, engine};
use taskcluster_worker::plugins::{Artifacts, BACKING_LOG, BackingLog};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Engine, Error, Exit, Identity, Settings, Shutdown, Worker};

#[path = "../examples/custom-worker.rs"]
#[allow(dead_code)]
mod custom_worker;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Deed {
    deed: String,
}

fn deeds() -> impl Engine {
    engine("deeds", |job: Job<Deed>| async move {
        match job.payload.deed.as_str() {
            "panic" => panic!("a panic that a test asked for"),
            "link" => std::os::unix::fs::symlink("/etc/hostname", job.folder.join("link")).unwrap(),
            "task's fault" => return Err(Error::task("it is the task's fault")),
            "three" => return Ok(Exit::Code(3)),
            _ => {}
        }
        Ok(Exit::Code(0))
    })
}

/// Runs one task to its end.
async fn run(engine: impl Engine, payload: Value) -> (FakeQueue, TaskId) {
    let queue = FakeQueue::start().await.unwrap();
    let task_id = queue.add_task(task_with_payload(payload.as_object().unwrap()));
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
    let settings = Settings::new(dir.path()).with_task_limit(1);
    let worker = Worker::builder(queue.root_url(), identity, engine, settings)
        .credentials(Credentials::new("the-worker", "secret"))
        .plugin(Artifacts::default())
        .plugin(BackingLog::default())
        .build()
        .unwrap();
    let run = tokio::time::timeout(std::time::Duration::from_secs(120), worker.run(Shutdown::new()));
    run.await.expect("the worker ends").unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    let files = left.iter().filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path).unwrap()).count();
    assert_eq!(files, 0, "something is left in {left:?}");
    (queue, task_id)
}

#[tokio::test]
async fn its_answer_says_how_the_task_ended() {
    for (deed, state) in [("none", "completed"), ("three", "failed"), ("task's fault", "failed")] {
        let (queue, task_id) = run(deeds(), json!({ "deed": deed })).await;
        assert_eq!(queue.state(&task_id), state, "{deed}: {}", queue.text(&task_id, BACKING_LOG));
    }
}

#[tokio::test]
async fn a_panic_ends_that_run_only() {
    let (queue, task_id) = run(deeds(), json!({ "deed": "panic" })).await;
    assert_eq!(queue.state(&task_id), "exception internal-error", "{}", queue.text(&task_id, BACKING_LOG));
}

#[tokio::test]
async fn a_task_reaches_nothing_outside_its_folder() {
    for path in ["/etc/hostname", "../../../../../../../../etc/hostname", "link", "./link"] {
        let artifact = json!({ "type": "file", "path": path, "name": "public/secret" });
        let (queue, task_id) = run(deeds(), json!({ "deed": "link", "artifacts": [artifact] })).await;
        assert_ne!(queue.state(&task_id), "completed", "{path}");
        let left = queue.artifact(&task_id, "public/secret");
        assert!(left.is_none_or(|artifact| artifact.created["storageType"] == "error"), "{path}");
    }
}

#[tokio::test]
async fn a_path_that_leads_out_is_told_as_such() {
    let artifact = json!({ "type": "file", "path": "../note", "name": "public/note" });
    let (queue, task_id) = run(deeds(), json!({ "deed": "none", "artifacts": [artifact] })).await;
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("\"public/note\": ../note leads out of the task's folder\n"), "{log}");
    let left = queue.artifact(&task_id, "public/note").expect("an artifact that says why");
    assert_eq!(left.created["reason"], "file-not-readable-on-worker");
}

#[tokio::test]
async fn the_worker_of_the_example_does_what_it_says() {
    let note = json!({ "type": "file", "path": "note.txt", "name": "public/note.txt" });
    let (queue, task_id) = run(custom_worker::timer(), json!({ "seconds": 2, "artifacts": [note] })).await;
    assert_eq!(queue.state(&task_id), "completed", "{}", queue.text(&task_id, BACKING_LOG));
    assert_eq!(queue.text(&task_id, "public/note.txt"), "2 seconds are over\n");
    let log = queue.text(&task_id, BACKING_LOG);
    assert!(log.contains("2 s left\n") && log.contains("1 s left\n"), "{log}");
}
