//! Caches outlive the containers that use them.

use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn a_cache_keeps_what_a_task_wrote_until_an_exit_code_purges_it() {
    let Some(bench) = Bench::new().await else { return };
    let payload = |script: &str| {
        json!({
            "command": ["/bin/sh", "-c", script],
            "cache": {"build": "/cache"},
            "onExitStatus": {"purgeCaches": [3]},
        })
    };
    let (_, state, log) = bench.resolve(payload("echo kept >/cache/file")).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("using cache \"build\" at /cache"), "{log}");
    let (_, state, log) = bench.resolve(payload("cat /cache/file; exit 3")).await;
    assert_eq!(state, "failed");
    assert!(log.contains("kept\r\n") && log.contains("purging cache \"build\""), "{log}");
    let (_, state, log) = bench.resolve(payload("! test -e /cache/file")).await;
    assert_eq!(state, "completed", "{log}");
}
