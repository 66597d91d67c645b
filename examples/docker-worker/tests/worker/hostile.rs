//! Payloads that mean harm: each is contained, and the next task is served.
//!
//! Images that mean harm are in `images.rs`; output of any kind and size in `kept.rs`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use taskcluster_docker_worker::Options;

use crate::bench::Bench;
use crate::docker::{call, things_of};

/// Run the task, and after it, by the same worker, one that means no harm. Gives state and log of the first.
async fn served_after(bench: &Bench, payload: Value, change: impl FnOnce(&mut Options)) -> (String, String) {
    let hostile = bench.add(payload);
    let next = bench.add(json!({
        "command": ["/bin/sh", "-c", "echo SERVED >/file"],
        "artifacts": {"public/file": {"type": "file", "path": "/file"}},
    }));
    bench.run_at_once(1, 2, change).await;
    assert_eq!(bench.queue.state(&next), "completed", "{}", bench.log(&next));
    assert_eq!(bench.queue.text(&next, "public/file"), "SERVED\n");
    let runs = std::fs::read_dir(bench.dir.path().join("work/runs")).unwrap().count();
    assert_eq!(runs, 0, "nothing is left of them");
    (bench.queue.state(&hostile), bench.log(&hostile))
}

fn sh(script: &str) -> Value {
    json!(["/bin/sh", "-c", script])
}

#[tokio::test]
async fn artifacts_reach_no_further_than_the_container() {
    let Some(bench) = Bench::new().await else { return };
    let secret = bench.dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("file"), "OF THE WORKER").unwrap();
    let secret = secret.to_str().unwrap();
    let script = format!(
        "mkdir /out; echo mine >/out/mine; for there in /out /volume /cache; do ln -s {secret} $there/folder; \
         ln -s {secret}/file $there/link; done; ln -s {secret} /folder"
    );
    let artifact = |kind: &str, path: &str| json!({"type": kind, "path": path});
    let task_id = bench.add(json!({
        "command": sh(&script),
        "cache": {"shared": "/cache"},
        "artifacts": {
            "public/above": artifact("file", &format!("/out/../../../../..{secret}/file")),
            "public/absolute": artifact("file", &format!("{secret}/file")),
            "public/link": artifact("file", "/out/link"),
            "public/through": artifact("file", "/folder/file"),
            "public/of-volume": artifact("file", "/volume/link"),
            "public/of-cache": artifact("file", "/cache/folder/file"),
            "public/folder": artifact("directory", "/folder"),
            "public/out": artifact("directory", "/out"),
            "public/volume": artifact("volume", "/volume"),
            "public/../../../escape": artifact("file", "/../out/mine"),
        },
    }));
    bench.run().await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
    for name in ["above", "absolute", "link", "through", "of-volume", "of-cache", "folder"] {
        let created = bench.queue.artifact(&task_id, &format!("public/{name}")).unwrap().created;
        assert_eq!(created["storageType"], "error", "{name}");
    }
    // A name is a name, not a path of the worker's.
    for name in ["public/out/mine", "public/../../../escape"] {
        assert_eq!(bench.queue.text(&task_id, name), "mine\n", "{name}");
    }
    let names = bench.queue.artifact_names(&task_id);
    assert!(!names.iter().any(|name| bench.queue.text(&task_id, name).contains("OF THE WORKER")), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("public/volume/")), "{names:?}");
    assert!(!bench.dir.path().join("escape").exists() && !bench.dir.path().join("work/escape").exists());
}

#[tokio::test]
async fn names_that_no_artifact_can_have_are_the_tasks_fault() {
    let Some(bench) = Bench::new().await else { return };
    let file = json!({"type": "file", "path": "/file"});
    let payload = json!({
        "command": sh("echo never"),
        "artifacts": {"public/\u{fc}": file, "public/a\nb": file, "": file, "x".repeat(1025): file},
        "log": "public/\u{1f980}.log",
    });
    let (state, log) = served_after(&bench, payload, |_| {}).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    for name in ["public/\u{fc}", "public/a\\nb", "\"\"", "public/\u{1f980}.log"] {
        assert!(log.contains(name), "{name}: {log}");
    }
    assert!(!log.contains("never\r\n"), "{log}");

    let script =
        r#"mkdir /out; echo good >/out/good; echo bad >"$(printf '/out/bad\377')"; echo bad >"$(printf '/out/a\nb')""#;
    let artifact = json!({"public/out": {"type": "directory", "path": "/out"}});
    let (state, log) = served_after(&bench, json!({"command": sh(script), "artifacts": artifact}), |_| {}).await;
    assert_eq!(state, "completed", "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("no artifact can have the name")).count(), 2, "{log}");
}

/// Harmless without the limit: each forks two, six times over.
#[tokio::test]
async fn a_fork_bomb_runs_against_its_limit_and_is_gone() {
    let Some(bench) = Bench::new().await else { return };
    let script = "f() { test $1 = 0 || { f $(($1-1)) | f $(($1-1)) & sleep 60; }; }; f 6";
    let payload = json!({"command": sh(script), "maxRunTime": 5});
    let (state, log) = served_after(&bench, payload, |options| options.limits.pids = Some(30)).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("can't fork"), "{log}");
}

#[tokio::test]
async fn a_container_has_a_limit_of_processes_though_nobody_configured_one() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("echo ready; sleep 1000");
    let look = async {
        bench.line("ready").await;
        let container = things_of(&bench.there.host, &bench.label).pop().unwrap();
        let limit = call(&bench.there.host, &["inspect", "-f", "{{.HostConfig.PidsLimit}}", &container]);
        bench.queue.cancel(&task_id);
        String::from_utf8(limit).unwrap().trim().parse::<u64>().unwrap()
    };
    let ((), limit) = tokio::join!(bench.run(), look);
    assert_eq!(Some(limit), Options::new("x").limits.pids.map(u64::from));
    assert!(limit >= 512);
}

/// A file system of a few MiB at a directory, as long as this value is there.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=0755", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: needs the right to mount");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_task_that_fills_the_workers_disk_loses_what_it_made_and_the_next_has_room() {
    let Some(bench) = Bench::new().await else { return };
    let Some(_disk) = SmallDisk::mount(bench.dir.path().join("work")) else { return };
    // By what it leaves, which takes no room where it is.
    let payload = json!({
        "command": sh("truncate -s 1073741824 /sparse; echo good >/good"),
        "artifacts": {"public/sparse": {"type": "file", "path": "/sparse"}, "public/good": {"type": "file", "path": "/good"}},
    });
    let (state, log) = served_after(&bench, payload, |_| {}).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("artifact \"public/sparse\": /sparse has 1024 MiB, and the disk of the worker only"), "{log}");

    // By what it prints, and in a directory of the worker's.
    let script = "cat /dev/zero >/volume/big; while echo this is the log of a disk that is full; do :; done | head -c 1000000; exit 3";
    let artifacts = json!({"public/volume": {"type": "volume", "path": "/volume"}});
    let (state, log) = served_after(&bench, json!({"command": sh(script), "artifacts": artifacts}), |_| {}).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("No space left on device"), "{log}");
}

#[tokio::test]
async fn newlines_in_the_environment_stay_in_their_variable() {
    let Some(bench) = Bench::new().await else { return };
    let payload = json!({
        "command": sh(r#"echo "IN $TASK_ID"; env -0 | tr '\0\n' '\n,'"#),
        "env": {"A": "one\nTASK_ID=stolen\ntwo", "B\nTASK_ID": "stolen", "TASK_ID": "stolen", "LD_PRELOAD": "/no/such.so"},
    });
    let (state, log) = served_after(&bench, payload, |_| {}).await;
    assert_eq!(state, "completed", "{log}");
    let lines: Vec<&str> = log.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"A=one,TASK_ID=stolen,two"), "{log}");
    assert!(!lines.contains(&"IN stolen") && lines.iter().any(|line| line.starts_with("IN ")), "{log}");
}

#[tokio::test]
async fn a_command_that_does_not_want_to_end_is_ended() {
    let Some(bench) = Bench::new().await else { return };
    let script = "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done";
    let (state, log) = served_after(&bench, json!({"command": sh(script), "maxRunTime": 1}), |_| {}).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("longer than its maxRunTime of 1 s"), "{log}");
}
