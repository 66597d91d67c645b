//! Payloads that mean harm: each is contained, and the next task is served.

use std::io::Write;

use base64::Engine as _;
use serde_json::{Value, json};
use taskcluster_native_worker::{Limits, NativeWorkerBuilder};
use taskcluster_worker::plugins::{BACKING_LOG, MountLimits};

use crate::bench::{Bench, SmallDisk, bench_of_users, processes_of};

/// Run the task, and after it, by the same worker, one that means no harm. Gives state and log of the first.
async fn served_after(bench: &Bench, payload: Value) -> (String, String) {
    served_after_as(bench, payload, |builder| builder).await
}

async fn served_after_as(
    bench: &Bench,
    payload: Value,
    change: impl FnOnce(NativeWorkerBuilder) -> NativeWorkerBuilder,
) -> (String, String) {
    let hostile = bench.add(payload);
    let next = bench.add(json!({
        "command": [["/bin/sh", "-c", "echo SERVED > file; cat file"]],
        "artifacts": [{"type": "file", "path": "file", "name": "public/file"}],
    }));
    bench.run_as(|builder| change(builder.task_limit(2))).await;
    assert_eq!(bench.queue.state(&next), "completed", "{}", bench.log(&next));
    assert_eq!(bench.queue.text(&next, "public/file"), "SERVED\n");
    assert_eq!(std::fs::read_dir(bench.dir.path().join("work/tasks")).unwrap().count(), 0, "nothing is left of them");
    (bench.queue.state(&hostile), bench.log(&hostile))
}

fn sh(script: &str) -> Value {
    json!([["/bin/sh", "-c", script]])
}

/// Benches of each isolation that this machine can have.
async fn benches() -> Vec<Bench> {
    let mut benches = vec![Bench::new().await];
    benches.extend(bench_of_users().await);
    benches
}

/// An archive of one entry, whose name and target are written as they are, which no good program does.
fn archive(kind: tar::EntryType, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_old();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

fn mounting(archive: &[u8], format: &str) -> Value {
    let content = json!({"base64": base64::prelude::BASE64_STANDARD.encode(archive)});
    let mount = json!({"directory": "d", "content": content, "format": format});
    json!({"command": sh("cat d/*"), "mounts": [mount]})
}

#[tokio::test]
async fn an_archive_that_wants_out_is_malformed() {
    use tar::EntryType::{Link, Regular, Symlink};
    for bench in benches().await {
        for (kind, name, target) in [
            (Regular, "../../../escape", ""),
            (Regular, "/tmp/native-worker-escape", ""),
            (Symlink, "link", "/etc"),
            (Symlink, "link", "../../.."),
            (Link, "link", "/etc/passwd"),
        ] {
            let content: &[u8] = if kind == Regular { b"escaped" } else { b"" };
            let (state, log) = served_after(&bench, mounting(&archive(kind, name, target, content), "tar")).await;
            assert_eq!(state, "exception malformed-payload", "{name} {target}: {log}");
            assert!(!log.contains("=== Task Starting ==="), "{log}");
        }
        assert!(!bench.dir.path().join("escape").exists() && !bench.dir.path().join("work/escape").exists());
        assert!(!std::path::Path::new("/tmp/native-worker-escape").exists());
    }
}

#[tokio::test]
async fn an_archive_that_grows_without_end_is_malformed() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&archive(tar::EntryType::Regular, "zeros", "", &vec![0; 16 << 20])).unwrap();
    let bomb = gzip.finish().unwrap();
    for bench in benches().await {
        let limits = MountLimits::default().with_bytes(1 << 20);
        let payload = mounting(&bomb, "tar.gz");
        let (state, log) = served_after_as(&bench, payload, |builder| builder.mount_limits(limits)).await;
        assert_eq!(state, "exception malformed-payload", "{log}");
    }
}

#[tokio::test]
async fn artifacts_reach_no_further_than_the_task_itself() {
    let Some(bench) = bench_of_users().await else { return };
    let secret = bench.dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("file"), "OF THE WORKER").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let artifact = |kind: &str, name: &str, path: &str| json!({"type": kind, "name": name, "path": path});
    let absolute = secret.join("file").to_str().unwrap().to_owned();
    let script = format!(
        "ln -s {0} folder; ln -s {0}/file link; mkdir inner; ln -s {0} inner/folder; ln -s {0}/file inner/link",
        secret.display()
    );
    let payload = json!({
        "command": sh(&script),
        "artifacts": [
            artifact("file", "public/above", "../../../secret/file"),
            artifact("file", "public/absolute", &absolute),
            artifact("file", "public/link", "link"),
            artifact("directory", "public/folder", "folder"),
            artifact("directory", "public/inner", "inner"),
        ],
    });
    let hostile = bench.add(payload);
    bench.run().await;
    assert_eq!(bench.queue.state(&hostile), "failed", "{}", bench.log(&hostile));
    for name in ["public/above", "public/absolute", "public/link", "public/folder"] {
        let created = bench.queue.artifact(&hostile, name).unwrap().created;
        assert_eq!(created["storageType"], "error", "{name}");
    }
    let names = bench.queue.artifact_names(&hostile);
    assert!(!names.iter().any(|name| name.starts_with("public/inner/")), "{names:?}");
    let (task_id, state) = bench.resolve(json!({"command": sh("echo SERVED")})).await;
    assert_eq!(state, "completed", "{}", bench.log(&task_id));
}

/// Harmless without the limit: it forks so many and no more.
#[tokio::test]
async fn a_task_has_no_more_processes_than_it_may_from_its_first_instruction_on() {
    let Some(bench) = bench_of_users().await else { return };
    let script = "echo USER $(id -u); n=0; while test $n -lt 150; do sleep 60 & n=$((n+1)); done; echo ALL OF THEM";
    let few = |builder: NativeWorkerBuilder| builder.limits(Limits::default().with_processes(50));
    let (state, log) = served_after_as(&bench, json!({"command": sh(script)}), few).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("Cannot fork") && !log.lines().any(|line| line == "ALL OF THEM"), "{log}");
    contained(&log);
}

/// Each forks two, six times over: again it is harmless without the limit.
#[tokio::test]
async fn a_fork_bomb_runs_against_its_limit_and_is_gone() {
    let Some(bench) = bench_of_users().await else { return };
    let script = "echo USER $(id -u); f() { test $1 = 0 || { f $(($1-1)) | f $(($1-1)) & sleep 60; }; }; f 6";
    let payload = json!({"command": sh(script), "maxRunTime": 5});
    let few = |builder: NativeWorkerBuilder| builder.limits(Limits::default().with_processes(30));
    let (state, log) = served_after_as(&bench, payload, few).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("Cannot fork"), "{log}");
    contained(&log);
}

/// It starts a hundred and no more, and where it cannot it tries again, as bombs do.
const TRIES_AGAIN: &str = "seq 100 | xargs -P 100 -n 1 sleep 300";

#[tokio::test]
async fn a_task_that_goes_on_starting_more_than_it_may_is_ended_with_one_line_that_says_so() {
    for bench in benches().await {
        let few = |builder: NativeWorkerBuilder| builder.limits(Limits::default().with_processes(30));
        let (state, log) = served_after_as(&bench, json!({"command": sh(TRIES_AGAIN)}), few).await;
        assert_eq!(state, "failed", "{log}");
        let errors: Vec<&str> = log.lines().filter(|line| line.starts_with("[taskcluster:error]")).collect();
        let [error] = errors[..] else { panic!("{log}") };
        assert!(error.contains("the task has too many processes") && error.contains("30 are the most"), "{log}");
    }
}

#[tokio::test]
async fn a_task_that_fails_for_want_of_processes_is_told_so() {
    // Without a user of its own it may be over before anybody has looked.
    let Some(bench) = bench_of_users().await else { return };
    let few = |builder: NativeWorkerBuilder| builder.limits(Limits::default().with_processes(20));
    let script = "n=0; while test $n -lt 60; do sleep 60 & n=$((n+1)); done";
    let (state, log) = served_after_as(&bench, json!({"command": sh(script)}), few).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("[taskcluster:error] the task could start no more processes at times: 20 "), "{log}");
}

/// The task said who it was; nobody of that user is left.
fn contained(log: &str) {
    let user = log.lines().find_map(|line| line.strip_prefix("USER ")).expect("it says who it is");
    assert_eq!(processes_of(user), [""; 0]);
}

#[tokio::test]
async fn a_task_that_fills_the_disk_loses_what_it_made_and_the_next_has_room() {
    for bench in benches().await {
        let Some(_disk) = SmallDisk::mount(bench.dir.path().join("work")) else { return };
        let script = "cat /dev/zero > big; while echo this is the log of a disk that is full; do :; done | head -c 1000000; exit 3";
        let (state, log) = served_after(&bench, json!({"command": sh(script)})).await;
        assert_eq!(state, "failed", "{log}");
        let said = log.lines().filter(|line| line.contains("what the task printed from here on is not in its log"));
        assert_eq!(said.count(), 1, "{log}");
        let last: Vec<&str> = log.lines().rev().take(2).collect();
        assert!(
            last[0].ends_with("=== Task Ends: failed ===") && last[1] == "[taskcluster:error] exit code 3",
            "{log}"
        );
    }
}

/// Where the smaller copy has no room, it is stored as it is.
#[tokio::test]
async fn a_log_is_kept_though_nothing_else_has_room_on_the_disk() {
    let bench = Bench::new().await;
    let work = bench.dir.path().join("work");
    let Some(_disk) = SmallDisk::mount(work.clone()) else { return };
    let script =
        format!("head -c 1000000 /dev/urandom | base64; cat /dev/zero >{}; exit 3", work.join("filler").display());
    let (task_id, state) = bench.resolve(json!({"command": sh(&script)})).await;
    assert_eq!(state, "failed", "{}", bench.log(&task_id));
    let kept = bench.queue.artifact(&task_id, BACKING_LOG).unwrap();
    assert_eq!(kept.created["contentEncoding"], Value::Null);
    assert!(bench.log(&task_id).ends_with("=== Task Ends: failed ===\n"));
}

/// What takes no room where it is takes it where it is copied to.
#[tokio::test]
async fn an_artifact_that_is_larger_than_the_disk_is_not_kept_and_the_next_has_room() {
    let Some(bench) = bench_of_users().await else { return };
    let Some(_disk) = SmallDisk::mount(bench.dir.path().join("work")) else { return };
    let artifact = |name: &str| json!({"type": "file", "path": name, "name": format!("public/{name}")});
    let script = "truncate -s 1073741824 sparse; echo good > good";
    let artifacts = ["sparse", "good"].map(artifact);
    let (state, log) = served_after(&bench, json!({"command": sh(script), "artifacts": artifacts})).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("[taskcluster:error] artifact \"public/sparse\": sparse has 1024 MiB, and the disk"), "{log}");
}

#[tokio::test]
async fn a_line_without_end_is_kept_as_it_is() {
    const LENGTH: usize = 4 << 20;
    let bench = Bench::new().await;
    let script = format!("head -c {LENGTH} /dev/zero | tr '\\0' x; echo; echo AFTER");
    let (state, log) = served_after(&bench, json!({"command": sh(&script)})).await;
    assert_eq!(state, "completed");
    assert!(log.lines().any(|line| line.len() == LENGTH && line.bytes().all(|byte| byte == b'x')));
    assert!(log.lines().any(|line| line == "AFTER"));
}

#[tokio::test]
async fn text_that_is_none_is_kept_as_it_is() {
    for bench in benches().await {
        let script = r#"mkdir out; echo good > out/good; echo bad > "$(printf 'out/bad\377')"; printf 'a\377\376\nb\033[2J\r\0\n'"#;
        let artifact = json!({"type": "directory", "path": "out", "name": "public/out"});
        let (state, _) = served_after(&bench, json!({"command": sh(script), "artifacts": [artifact]})).await;
        assert_eq!(state, "failed", "an artifact cannot have such a name");
        let output = bench.output.lock().unwrap();
        assert!(output.windows(5).any(|bytes| bytes == b"a\xff\xfe\nb"), "{}", String::from_utf8_lossy(&output));
    }
}

#[tokio::test]
async fn names_that_no_artifact_can_have_are_the_tasks_fault() {
    for bench in benches().await {
        let artifact = |name: &str| json!({"type": "file", "path": "file", "name": name});
        let names = ["public/\u{fc}", "public/a\nb"];
        let payload = json!({"command": sh("echo never > file"), "artifacts": names.map(artifact)});
        let (state, log) = served_after(&bench, payload).await;
        assert_eq!(state, "exception malformed-payload", "{log}");
        assert!(names.iter().all(|name| log.contains(&format!("{name:?}"))), "{log}");

        let out_of_reach = "public/../../../escape";
        let script = "echo IN > file; mkdir out; echo good > out/good; echo bad > \"$(printf 'out/a\\nb')\"";
        let directory = json!({"type": "directory", "path": "out", "name": "public/out", "optional": true});
        let task_id = bench.add(json!({"command": sh(script), "artifacts": [artifact(out_of_reach), directory]}));
        bench.run().await;
        let log = bench.log(&task_id);
        assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
        assert_eq!(bench.queue.text(&task_id, out_of_reach), "IN\n", "a name is a name, not a path of the worker's");
        assert_eq!(bench.queue.text(&task_id, "public/out/good"), "good\n");
        assert!(log.contains(r#"no artifact can have the name "public/out/a\nb""#), "{log}");
    }
}

#[tokio::test]
async fn artifacts_that_nobody_could_keep_are_the_tasks_fault() {
    let bench = Bench::new().await;
    for (what, value) in [("contentType", "text/plain\r\nx-evil: 1"), ("expires", "2001-01-01T00:00:00.000Z")] {
        let mut artifact = json!({"type": "file", "path": "file", "name": "public/file"});
        artifact[what] = json!(value);
        let (state, log) =
            served_after(&bench, json!({"command": sh("echo never > file"), "artifacts": [artifact]})).await;
        assert_eq!(state, "exception malformed-payload", "{what}: {log}");
    }
}

#[tokio::test]
async fn newlines_in_the_environment_stay_in_their_variable() {
    for bench in benches().await {
        let value = "one\nTASK_WORKDIR=/\ntwo";
        let payload = json!({
            "command": sh(r#"printf %s "$A" | od -An -c; echo IN $TASK_WORKDIR; env -0 | tr '\0\n' '\n,'"#),
            "env": {"A": value, "B\nTASK_WORKDIR": "/", "TASK_WORKDIR": "/", "LD_PRELOAD": "/no/such.so"},
        });
        let (state, log) = served_after(&bench, payload).await;
        assert_eq!(state, "completed", "{log}");
        assert!(log.lines().any(|line| line == "A=one,TASK_WORKDIR=/,two"), "{log}");
        let dir = bench.dir.path().join("work/tasks");
        assert!(log.lines().any(|line| line.starts_with(&format!("IN {}/", dir.display()))), "{log}");
    }
}
