//! Artifacts that are too large.

use serde_json::json;
use taskcluster_native_worker::Isolation;

use crate::bench::Bench;

async fn a_file_of_holes_becomes_an_error(isolation: Isolation) {
    let bench = Bench::with(isolation).await;
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", "truncate -s 1T huge && mkdir out && truncate -s 1T out/huge && echo small >out/small"]],
            "artifacts": [
                {"type": "file", "path": "huge", "name": "public/huge", "optional": true},
                {"type": "directory", "path": "out", "name": "public/out", "optional": true},
            ],
        }))
        .await;
    let log = bench.log(&task_id);
    assert_eq!(state, "completed", "{log}");
    for name in ["public/huge", "public/out/huge"] {
        let error = bench.queue.artifact(&task_id, name).unwrap().created;
        assert_eq!(error["reason"], "too-large-file-on-worker", "{name}: {log}");
    }
    assert_eq!(bench.queue.text(&task_id, "public/out/small"), "small\n");
}

#[tokio::test]
async fn a_file_that_is_larger_than_any_disk_becomes_an_error() {
    a_file_of_holes_becomes_an_error(Isolation::None).await;
}

/// There it would be copied first.
#[tokio::test]
async fn a_file_of_another_user_that_is_larger_than_any_disk_becomes_an_error() {
    if rustix::process::geteuid().is_root() {
        a_file_of_holes_becomes_an_error(Isolation::User).await;
    } else {
        println!("skipped: only root may make users");
    }
}
