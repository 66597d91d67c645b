//! What takes a scope and a worker that has it: running as the worker's user, and devices.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;
use taskcluster_native_worker::{LoopbackDevices, NativeWorkerBuilder};

use crate::bench::{Bench, bench_of_users};

const AS_CURRENT_USER: &str = "generic-worker:run-task-as-current-user:test/worker";

fn add(bench: &Bench, script: &str, features: &Value, scopes: &[&str]) -> TaskId {
    let payload = json!({
        "command": [["/bin/sh", "-c", script]],
        "features": features,
        "artifacts": [{"type": "file", "path": "file", "name": "public/file", "optional": true}],
    });
    bench.add_with(payload, |task| task["scopes"] = json!(scopes))
}

fn allowing(builder: NativeWorkerBuilder) -> NativeWorkerBuilder {
    builder.run_task_as_current_user(true)
}

#[tokio::test]
async fn a_task_runs_as_the_workers_user_where_that_is_allowed() {
    let Some(bench) = bench_of_users().await else { return };
    let script =
        "echo ID $(id -u) $(stat -c %u .); echo text > file; chmod 600 file; (setsid sleep 1000 &); echo DAEMON $!";
    let task_id = add(&bench, script, &json!({"runTaskAsCurrentUser": true}), &[AS_CURRENT_USER]);
    bench.run_as(allowing).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
    assert!(log.lines().any(|line| line == "ID 0 0"), "{log}");
    assert!(log.contains("features.runTaskAsCurrentUser: commands run as the user of the worker"), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n");
    assert_eq!(std::fs::read_dir(bench.dir.path().join("work/tasks")).unwrap().count(), 0, "nothing is left of it");

    let other = add(&bench, "echo ID $(id -u)", &json!({"runTaskAsCurrentUser": false}), &[AS_CURRENT_USER]);
    bench.run_as(allowing).await;
    let log = bench.log(&other);
    assert!(bench.queue.state(&other) == "completed" && !log.lines().any(|line| line == "ID 0"), "{log}");
}

#[tokio::test]
async fn no_task_runs_as_the_workers_user_without_its_scope_or_where_it_is_not_allowed() {
    let mut benches = vec![Bench::new().await];
    benches.extend(bench_of_users().await);
    for bench in benches {
        let features = json!({"runTaskAsCurrentUser": true});
        let others = ["generic-worker:run-task-as-current-user:test/other", "a:scope"];
        let without = add(&bench, "echo never", &features, &others);
        bench.run_as(allowing).await;
        let with = add(&bench, "echo never", &features, &["*"]);
        bench.run().await;
        for (task_id, reason) in [
            (&without, format!("payload/features/runTaskAsCurrentUser: it takes the scope {AS_CURRENT_USER}\n")),
            (&with, "payload/features/runTaskAsCurrentUser: this worker runs no task as its own user".to_owned()),
        ] {
            let log = bench.log(task_id);
            assert_eq!(bench.queue.state(task_id), "exception malformed-payload", "{log}");
            assert!(log.contains(&reason) && !log.contains("=== Task Starting ==="), "{log}");
        }
    }
}

#[tokio::test]
async fn nothing_signs_where_a_task_could_read_the_key() {
    let Some(bench) = bench_of_users().await else { return };
    let key = taskcluster_worker::plugins::SigningKey::create(&bench.dir.path().join("key")).unwrap();
    let chain = taskcluster_worker::plugins::ChainOfTrust::new(Some(key));
    let task_id = add(&bench, "true", &json!({"chainOfTrust": true}), &[]);
    bench.run_as(|builder| allowing(builder).chain_of_trust(chain)).await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload", "{}", bench.log(&task_id));
}

/// A device of the kernel's that is always there, under a name of its own; `None` where none can be made or used.
fn device(bench: &Bench, name: &str) -> Option<PathBuf> {
    let path = bench.dir.path().join(name);
    let made = Command::new("mknod").args(["-m", "0600"]).arg(&path).args(["c", "1", "3"]).status();
    let usable = made.is_ok_and(|made| made.success()) && std::fs::write(&path, "x").is_ok();
    if !usable {
        println!("skipped: no devices can be made here");
    }
    usable.then_some(path)
}

fn owner(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().uid()
}

/// One after the other writes to the only video device, which is its own for that time.
#[tokio::test]
async fn a_device_is_one_tasks_at_a_time_and_then_the_machines_again() {
    let Some(bench) = bench_of_users().await else { return };
    let (Some(video), Some(audio)) = (device(&bench, "video"), device(&bench, "audio")) else { return };
    let devices = LoopbackDevices::default().with_video(&video).with_audio([audio.clone()]);
    let features = json!({"loopbackVideo": true, "loopbackAudio": true});
    let scopes = ["generic-worker:loopback-video", "generic-worker:loopback-audio:test/worker"];
    let script = format!(
        "echo x > $TASKCLUSTER_VIDEO_DEVICE && echo x > {} && echo OWN $TASKCLUSTER_VIDEO_DEVICE; \
         test $(stat -c %u $TASKCLUSTER_VIDEO_DEVICE) = $(id -u) && echo STILL; sleep 0.2",
        audio.display()
    );
    let tasks = [(); 2].map(|()| add(&bench, &script, &features, &scopes));
    let worker = |builder: NativeWorkerBuilder| builder.loopback_devices(devices.clone()).capacity(2).task_limit(2);
    bench.run_as(worker).await;
    // The second was left to others as long as the first had the device: it was claimed after the first had its report.
    let received: Vec<String> = bench.queue.received().into_iter().map(|request| request.line).collect();
    let place =
        |part: &str| received.iter().position(|line| line.ends_with(part)).unwrap_or_else(|| panic!("no {part}"));
    let artifacts_of = |task_id: &TaskId| received.iter().position(|line| line.contains(&format!("/task/{task_id}/")));
    let [first, second] = &tasks;
    let (first, second) = if artifacts_of(first) < artifacts_of(second) { (first, second) } else { (second, first) };
    assert!(artifacts_of(second) > Some(place(&format!("/task/{first}/runs/0/completed"))), "{received:#?}");
    for task_id in tasks {
        let log = bench.log(&task_id);
        assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
        assert!(log.contains(&format!("OWN {}\nSTILL\n", video.display())), "{log}");
    }
    assert_eq!((owner(&video), owner(&audio)), (0, 0));
}

#[tokio::test]
async fn a_device_that_a_killed_worker_had_lent_is_taken_back() {
    let Some(bench) = bench_of_users().await else { return };
    let Some(video) = device(&bench, "video") else { return };
    // Somebody who is no more.
    const NOBODY_ANY_MORE: u32 = 3_999_999_999;
    std::os::unix::fs::chown(&video, Some(NOBODY_ANY_MORE), None).unwrap();
    bench.script("true");
    bench.run_as(|builder| builder.loopback_devices(LoopbackDevices::default().with_video(&video))).await;
    assert_eq!(owner(&video), 0);
}

#[tokio::test]
async fn a_device_takes_its_scope_and_a_worker_that_has_one() {
    let bench = Bench::new().await;
    let features = json!({"loopbackVideo": true, "loopbackAudio": true});
    let task_id = add(&bench, "echo never", &features, &["generic-worker:loopback-audio"]);
    let devices = LoopbackDevices::default().with_video("/dev/null");
    bench.run_as(|builder| builder.loopback_devices(devices)).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload", "{log}");
    for reason in [
        "loopbackVideo: it takes the scope generic-worker:loopback-video or generic-worker:loopback-video:test/worker\n",
        "loopbackAudio: this worker has no loopback audio device\n",
    ] {
        assert!(log.contains(&format!("[taskcluster:error] payload/features/{reason}")), "{reason}:\n{log}");
    }
}

/// Another machine may have it.
#[tokio::test]
async fn a_device_that_is_not_there_is_the_workers_fault() {
    let bench = Bench::new().await;
    let missing = bench.dir.path().join("missing");
    let task_id = add(&bench, "echo never", &json!({"loopbackVideo": true}), &["generic-worker:loopback-video"]);
    bench.run_as(|builder| builder.loopback_devices(LoopbackDevices::default().with_video(&missing))).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown", "{log}");
    assert!(
        log.contains(&format!("cannot have a loopback video device: {}: No such file", missing.display())),
        "{log}"
    );
}
