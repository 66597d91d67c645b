//! Artifacts that are too large.

use serde_json::{Value, json};
use taskcluster_worker::artifacts::ArtifactLimits;

use crate::bench::Bench;

const TOO_LARGE: &str = "too-large-file-on-worker";

fn reason(bench: &Bench, task_id: &taskcluster_core::ids::TaskId, name: &str) -> Value {
    bench.queue.artifact(task_id, name).unwrap_or_else(|| panic!("there is {name}")).created["reason"].clone()
}

#[tokio::test]
async fn a_file_of_holes_that_is_larger_than_any_disk_becomes_an_error() {
    let Some(bench) = Bench::new().await else { return };
    let script = "mkdir /out; truncate -s 1099511627776 /huge; truncate -s 1099511627776 /out/huge; echo small >/small";
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", script],
            "artifacts": {
                "public/huge": {"type": "file", "path": "/huge"},
                "public/out": {"type": "directory", "path": "/out"},
                "public/small": {"type": "file", "path": "/small"},
            },
        }))
        .await;
    assert_eq!(state, "completed", "{log}");
    assert_eq!(reason(&bench, &task_id, "public/huge"), TOO_LARGE);
    assert_eq!(reason(&bench, &task_id, "public/out"), TOO_LARGE);
    assert_eq!(bench.queue.text(&task_id, "public/small"), "small\n");
    assert!(log.contains("/huge has 1024 GiB; this worker takes artifacts of 64 GiB at most"), "{log}");
}

#[tokio::test]
async fn what_no_longer_fits_becomes_an_error_and_the_rest_is_kept() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.artifact_limits = ArtifactLimits::default().with_each(1000).with_all(3000);
    let script = "mkdir /out; cd /out; for name in b c; do head -c 900 /dev/zero >$name; done; \
                  head -c 1001 /dev/zero >a; head -c 900 /dev/zero >/first; head -c 900 /dev/zero >/last";
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", script],
            "artifacts": {
                "public/a-first": {"type": "file", "path": "/first"},
                "public/out": {"type": "directory", "path": "/out"},
                "public/z-last": {"type": "file", "path": "/last"},
            },
        }))
        .await;
    assert_eq!(state, "completed", "{log}");
    assert_eq!(reason(&bench, &task_id, "public/out/a"), TOO_LARGE);
    let refused = ["public/a-first", "public/out/b", "public/out/c", "public/z-last"]
        .into_iter()
        .filter(|name| reason(&bench, &task_id, name) == TOO_LARGE);
    assert_eq!(refused.count(), 1, "three of 900 bytes fit, whichever come first: {log}");
    assert!(log.contains("this worker takes 2 KiB of artifacts from a run"), "{log}");
}
