//! What a task leaves, and what is kept of it.

use serde_json::json;
use taskcluster_worker::plugins::LIVE_LOG;

use crate::bench::Bench;

#[tokio::test]
async fn files_and_directories_are_kept_and_what_is_missing_is_told() {
    let Some(bench) = Bench::new().await else { return };
    let script = "mkdir -p /out/deep; echo one >/out/a; echo two >/out/deep/b; ln -s /etc/hosts /out/link; \
                  echo three >/file; echo four >/volume/d; ln -s /file /link";
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", script],
            "artifacts": {
                "public/out": {"type": "directory", "path": "/out"},
                "public/file": {"type": "file", "path": "/file"},
                "public/volume": {"type": "volume", "path": "/volume"},
                "public/none": {"type": "file", "path": "/none"},
                "public/no-directory": {"type": "directory", "path": "/file"},
                "public/no-file": {"type": "file", "path": "/out"},
                "public/link": {"type": "file", "path": "/link"},
            },
        }))
        .await;
    assert_eq!(state, "completed", "what is missing does not fail a task: {log}");
    for (name, text) in [
        ("public/out/a", "one\n"),
        ("public/out/deep/b", "two\n"),
        ("public/file", "three\n"),
        ("public/volume/d", "four\n"),
    ] {
        assert_eq!(bench.queue.text(&task_id, name), text);
    }
    assert!(bench.queue.artifact(&task_id, "public/out/link").is_none(), "links are not followed");
    for (name, reason) in [
        ("public/none", "file-missing-on-worker"),
        ("public/no-directory", "invalid-resource-on-worker"),
        ("public/no-file", "invalid-resource-on-worker"),
        ("public/link", "invalid-resource-on-worker"),
    ] {
        assert_eq!(bench.queue.artifact(&task_id, name).unwrap().created["reason"], reason, "{name}");
        assert!(log.contains(&format!("artifact {name:?}")), "{log}");
    }
    assert_eq!(bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created["storageType"], "link");
}

#[tokio::test]
async fn artifacts_can_be_turned_off() {
    let Some(bench) = Bench::new().await else { return };
    let (task_id, _, _) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", "echo one >/file"],
            "artifacts": {"public/file": {"type": "file", "path": "/file"}},
            "features": {"artifacts": false, "localLiveLog": false},
        }))
        .await;
    assert_eq!(bench.queue.artifact_names(&task_id), ["public/logs/live_backing.log"]);
}

/// What a client of Docker could take for the header of a frame of four gigabytes.
#[tokio::test]
async fn the_log_has_every_byte_that_a_task_prints() {
    let Some(bench) = Bench::new().await else { return };
    let script = r"stty raw 2>/dev/null; printf '\001\000\000\000\377\377\377\377frame'; sleep 0.1; printf '\000\002end\n'; \
                   head -c 3000000 /dev/zero | tr '\0' x; echo; printf '\377\376\n'";
    let task_id = bench.script(script);
    bench.run().await;
    let log = bench.queue.content(&task_id, "public/logs/live_backing.log");
    let has = |part: &[u8]| log.windows(part.len()).any(|window| window == part);
    assert!(has(b"\x01\0\0\0\xff\xff\xff\xffframe") && has(b"\0\x02end") && has(b"\xff\xfe"));
    assert!(log.len() > 3_000_000);
}
