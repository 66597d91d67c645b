//! Directories out of archives: they are the task's, as if it had made them.

use serde_json::{Value, json};

use crate::bench::{Bench, bench_of_users};

/// An archive with a program that nobody but its owner may run, in a directory that nobody but its owner may see.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, mode, content) in [
        (tar::EntryType::Directory, "closed/", 0o700, ""),
        (tar::EntryType::Regular, "closed/tool", 0o700, "#!/bin/sh\necho TOOL RUNS\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn content() -> Value {
    use base64::Engine as _;
    json!({"base64": base64::prelude::BASE64_STANDARD.encode(archive())})
}

async fn check(bench: Bench) {
    let script = "set -e; test $(stat -c %u tools/closed/tool) = $(id -u); \
                  tools/closed/tool; cache/closed/tool; echo new > tools/closed/new; rm tools/closed/tool; pwd -P; cd tools; pwd -P";
    let payload = json!({
        "command": [["/bin/sh", "-c", script]],
        "mounts": [
            {"directory": "tools", "content": content(), "format": "tar"},
            {"directory": "cache", "cacheName": "c", "content": content(), "format": "tar"},
        ],
    });
    for _ in 0..2 {
        let (task_id, state) = bench.resolve(payload.clone()).await;
        let log = bench.log(&task_id);
        assert_eq!(state, "completed", "{log}");
        assert_eq!(log.matches("TOOL RUNS\n").count(), 2, "{log}");
        let tasks = bench.dir.path().join("work/tasks");
        let dir = log.lines().find(|line| line.starts_with(tasks.to_str().unwrap())).expect("it says where it is");
        assert!(log.contains(&format!("{dir}/tools\n")), "{log}");
        assert!(!std::path::Path::new(dir).exists(), "it goes with the task");
    }
}

#[tokio::test]
async fn a_directory_is_the_tasks_own() {
    check(Bench::new().await).await;
}

#[tokio::test]
async fn a_directory_is_another_users_own() {
    if let Some(bench) = bench_of_users().await {
        check(bench).await;
    }
}

#[tokio::test]
async fn mounts_come_one_after_the_other() {
    let bench = Bench::new().await;
    let (file, script) =
        (json!({"file": "d/closed/note", "content": {"raw": "NOTE"}}), "cat d/closed/note; d/closed/tool");
    let payload = |first: Value| json!({"command": [["/bin/sh", "-c", script]], "mounts": [first, file]});
    let (task_id, state) =
        bench.resolve(payload(json!({"directory": "d", "content": content(), "format": "tar"}))).await;
    let log = bench.log(&task_id);
    assert!(state == "completed" && log.contains("NOTE") && log.contains("TOOL RUNS"), "{log}");
    // What former tasks left there could lead anywhere.
    let (task_id, state) = bench.resolve(payload(json!({"directory": "d", "cacheName": "c"}))).await;
    let log = bench.log(&task_id);
    assert!(state == "exception malformed-payload" && log.contains("it is inside of a cache"), "{log}");
}
