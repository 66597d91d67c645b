//! How a container ends, and what the queue is told.

use serde_json::json;

use crate::bench::Bench;
use crate::docker;

#[tokio::test]
async fn the_exit_code_decides() {
    let Some(bench) = Bench::new().await else { return };
    let exit =
        |code: i32| json!({"command": ["/bin/sh", "-c", format!("exit {code}")], "onExitStatus": {"retry": [75]}});
    for (code, expected) in [(0, "completed"), (1, "failed"), (75, "exception intermittent-task"), (137, "failed")] {
        let (_, state, log) = bench.resolve(exit(code)).await;
        assert_eq!(state, expected, "{log}");
        if code == 1 {
            assert!(log.contains("[taskcluster:error] exit code 1"), "{log}");
        }
    }
}

#[tokio::test]
async fn a_command_that_is_no_program_fails_and_is_named() {
    let Some(bench) = Bench::new().await else { return };
    let (_, state, log) = bench.resolve(json!({"command": ["no-such-program", "x"]})).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("could not be started: \"no-such-program\": executable file not found"), "{log}");
}

#[tokio::test]
async fn what_payload_and_image_make_impossible_is_the_payloads_fault() {
    let Some(bench) = Bench::new().await else { return };
    let with = |line: &str| json!(docker::image_with(&bench.there, line));
    let none = json!({});
    // Where a directory is mounted, the image has a file; its user, or the directory where it starts, is none.
    for (what, image, cache, artifacts) in [
        ("a cache", json!(bench.there.image), json!({"c": "/bin/busybox"}), none.clone()),
        ("a cache below", json!(bench.there.image), json!({"c": "/bin/busybox/c"}), none.clone()),
        ("a volume", json!(bench.there.image), none.clone(), json!({"v": {"type": "volume", "path": "/bin/busybox"}})),
        ("a user", with("USER nosuch"), none.clone(), none.clone()),
        ("a group", with("USER 0:nosuch"), none.clone(), none.clone()),
        ("a directory", with("WORKDIR /bin/busybox"), none.clone(), none.clone()),
    ] {
        let payload = json!({"image": image, "command": ["/bin/true"], "cache": cache, "artifacts": artifacts});
        let (_, state, log) = bench.resolve(payload).await;
        assert_eq!(state, "exception malformed-payload", "{what}: {log}");
        assert!(log.contains("[taskcluster:error] the container cannot be "), "{what}: {log}");
        if let Some(name) = image.as_str().filter(|name| *name != bench.there.image) {
            docker::call(&bench.there.host, &["rmi", name]);
        }
    }
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_ended_and_its_artifacts_are_kept() {
    let Some(bench) = Bench::new().await else { return };
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", "echo early >/file; sleep 1000"],
            "maxRunTime": 1,
            "artifacts": {"public/file": {"type": "file", "path": "/file"}},
        }))
        .await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("longer than its maxRunTime of 1 s"), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "early\n");
}

#[tokio::test]
async fn a_task_may_end_politely() {
    let Some(bench) = Bench::new().await else { return };
    let script = "trap 'echo polite; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let task_id = bench.script(script);
    let cancel = async {
        bench.line("ready").await;
        bench.queue.cancel(&task_id);
    };
    tokio::join!(bench.run(), cancel);
    let log = bench.log(&task_id);
    assert!(log.contains("polite\r\n") && log.contains("cancelled"), "{log}");
}

#[tokio::test]
async fn a_task_is_asked_to_end_as_its_image_says() {
    let Some(bench) = Bench::new().await else { return };
    let image = docker::image_of(&bench.there, &["--stop-signal", "SIGUSR1"], &[]);
    let script = "trap 'echo as the image says; exit 0' USR1; echo ready; while :; do sleep 0.05; done";
    let task_id = bench.add(json!({"image": image, "command": ["/bin/sh", "-c", script]}));
    let cancel = async {
        bench.line("ready").await;
        bench.queue.cancel(&task_id);
    };
    tokio::join!(bench.run(), cancel);
    assert!(bench.log(&task_id).contains("as the image says\r\n"), "{}", bench.log(&task_id));
    docker::call(&bench.there.host, &["rmi", &image]);
}

#[tokio::test]
async fn a_worker_that_goes_gives_its_tasks_back() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("echo ready; sleep 1000");
    let stop = async {
        bench.line("ready").await;
        bench.shutdown.now();
    };
    tokio::join!(bench.run_with(9, |_| {}), stop);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown", "{}", bench.log(&task_id));
}

#[tokio::test]
async fn a_task_that_wants_too_much_memory_is_ended_and_told() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("x=x; while :; do x=$x$x; done");
    bench.run_with(1, |options| options.limits.memory = Some(32 << 20)).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "failed", "{log}");
    assert!(log.contains("[taskcluster:error] out of memory: the task may take 32 MiB"), "{log}");
    assert_eq!(log.matches("[taskcluster:error]").count(), 1, "{log}");
}

#[tokio::test]
async fn a_task_of_which_a_part_wants_too_much_memory_has_failed_whatever_the_rest_comes_to() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("sh -c 'x=x; while :; do x=$x$x; done'; echo the rest goes on; exit 0");
    bench.run_with(1, |options| options.limits.memory = Some(32 << 20)).await;
    let log = bench.log(&task_id);
    assert!(log.contains("the rest goes on\r\n"), "{log}");
    assert_eq!(bench.queue.state(&task_id), "failed", "{log}");
    assert!(log.contains("[taskcluster:error] out of memory: the task may take 32 MiB"), "{log}");
}

#[tokio::test]
async fn an_image_that_nobody_has_is_no_fault_of_the_worker_unless_nobody_answers() {
    let Some(bench) = Bench::new().await else { return };
    let (_, state, log) = bench.resolve(json!({"image": "no name"})).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    let (_, state, log) = bench.resolve(json!({"image": "127.0.0.1:9/nobody:1"})).await;
    assert_eq!(state, "exception worker-shutdown", "{log}");
    assert!(log.contains("trying again"), "{log}");
}
