//! What a payload asks for is what a container gets, or is refused before it starts.

use serde_json::json;
use taskcluster_docker_worker::DockerWorker;

use crate::bench::Bench;

#[tokio::test]
async fn a_task_runs_in_its_image_with_its_environment() {
    let Some(bench) = Bench::new().await else { return };
    let script = "echo arguments \"$@\"; echo $GREETING, $TASKCLUSTER_WORKER_TYPE; ls /; cat /etc/hosts; tty";
    let (task_id, state, log) = bench
        .resolve(json!({
            "command": ["/bin/sh", "-c", script, "sh", "a b", "$c"],
            "env": {"GREETING": "it's me", "TASKCLUSTER_WORKER_TYPE": "another"},
            "maxRunTime": 60.0,
        }))
        .await;
    assert_eq!(state, "completed", "{log}");
    // A terminal ends lines like this.
    assert!(log.contains("arguments a b $c\r\n") && log.contains("it's me, worker\r\n"), "{log}");
    assert!(log.contains("localhost.localdomain") && log.contains("/dev/pts/0"), "{log}");
    assert!(log.contains("image: sha256:"), "{log}");
    assert!(!bench.queue.issued_tokens().iter().any(|token| log.contains(token)));
    let names = bench.queue.artifact_names(&task_id);
    assert_eq!(names, ["public/logs/live.log", "public/logs/live_backing.log"]);
}

#[tokio::test]
async fn an_image_says_what_runs_where_the_payload_does_not() {
    let Some(bench) = Bench::new().await else { return };
    let (_, state, log) = bench.resolve(json!({"image": {"type": "docker-image", "name": bench.there.greeter}})).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("hello from the image\r\n"), "{log}");
}

#[tokio::test]
async fn a_log_has_the_name_that_the_payload_gives_it() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(json!({"command": ["/bin/sh", "-c", "echo hello"], "log": "public/my.txt"}));
    bench.run().await;
    assert_eq!(bench.queue.artifact_names(&task_id), ["public/my.txt", "public/my_backing.txt"]);
    assert!(bench.queue.text(&task_id, "public/my_backing.txt").contains("hello"));
}

#[tokio::test]
async fn everything_that_a_task_may_not_have_is_said_at_once() {
    let Some(bench) = Bench::new().await else { return };
    let payload = json!({
        "image": "taskcluster-artifact:0123",
        "command": ["/bin/sh", "-c", "echo never"],
        "cache": {"not-mine": "/c", "a::b": "/d"},
        "capabilities": {"privileged": true, "devices": {"kvm": true, "loopbackVideo": true}},
        "features": {"allowPtrace": true},
        "env": {"A=B": "x"},
    });
    let task_id = bench.add_with_scopes(payload, &[]);
    bench.run_with(1, |options| options.allowed.kvm = true).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload", "{log}");
    for part in [
        "use a task-image",
        "the cache \"not-mine\" needs the scope docker-worker:cache:not-mine",
        "\"a::b\" contains",
        "capabilities/privileged is not allowed",
        "needs the scope docker-worker:capability:device:kvm",
        "loopbackVideo is not allowed",
        "needs the scope docker-worker:feature:allowPtrace",
        "A=B",
    ] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    assert!(!log.contains("never\r\n"));
}

#[tokio::test]
async fn a_scope_lets_a_task_trace_itself() {
    let Some(bench) = Bench::new().await else { return };
    let command = json!(["/bin/sh", "-c", "grep CapEff /proc/self/status"]);
    let plain = bench.add(json!({"command": command}));
    let scope = "docker-worker:feature:allowPtrace:test/worker";
    let tracing = bench.add_with_scopes(json!({"command": command, "features": {"allowPtrace": true}}), &[scope]);
    bench.run_with(2, |_| {}).await;
    // The capability CAP_SYS_PTRACE has the number 19.
    let can_trace = |task_id| {
        let log = bench.log(task_id);
        let line = log.lines().find(|line| line.starts_with("CapEff")).unwrap_or_else(|| panic!("{log}"));
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap() & (1 << 19) != 0
    };
    assert!(!can_trace(&plain) && can_trace(&tracing));
}

#[test]
fn the_schema_takes_what_docker_worker_took() {
    let schema = DockerWorker::payload_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"].as_array().unwrap().len(), 2);
    let validator = jsonschema::draft7::new(&schema).unwrap();
    for taken in [
        json!({"image": "debian:12", "maxRunTime": 1}),
        json!({"image": {"type": "docker-image", "name": "x"}, "maxRunTime": 1, "command": []}),
        json!({"image": {"type": "indexed-image", "namespace": "a.b", "path": "public/i.tar"}, "maxRunTime": 1}),
        json!({"image": {"type": "task-image", "taskId": "VGpNuxlyRmmSFErj1YAj8w", "path": "p"}, "maxRunTime": 1}),
        json!({
            "image": "x", "maxRunTime": 7200, "log": "a/b.log", "supersederUrl": "https://x.example",
            "env": {"A": "b"}, "cache": {"c": "/c"},
            "artifacts": {
                "public/a": {"type": "file", "path": "/a", "expires": "2030-01-01T00:00:00.000Z"},
                "public/b": {"type": "directory", "path": "/b"}, "public/c": {"type": "volume", "path": "/c"},
            },
            "capabilities": {
                "privileged": false, "disableSeccomp": false,
                "devices": {"loopbackVideo": false, "loopbackAudio": false, "hostSharedMemory": false, "kvm": false},
            },
            "features": {
                "localLiveLog": true, "bulkLog": false, "taskclusterProxy": false, "artifacts": true,
                "allowPtrace": false, "chainOfTrust": false,
            },
            "onExitStatus": {"retry": [0, 1, -1], "purgeCaches": [0, 3]},
        }),
    ] {
        let errors: Vec<String> = validator.iter_errors(&taken).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{taken}");
    }
    for refused in [
        json!({"image": "x"}),
        json!({"image": "x", "maxRunTime": 0}),
        json!({"image": {"type": "docker-image", "name": "x", "more": 1}, "maxRunTime": 1}),
        json!({"image": {"type": "task-image", "path": "p"}, "maxRunTime": 1}),
        json!({"image": "x", "maxRunTime": 1, "env": {"A": 1}}),
        json!({"image": "x", "maxRunTime": 1, "features": {"unknown": true}}),
        json!({"image": "x", "maxRunTime": 1, "artifacts": {"a": {"type": "link", "path": "/a"}}}),
        json!({"image": "x", "maxRunTime": 1, "capabilities": {"devices": {"gpu": true}}}),
        json!({"image": "x", "maxRunTime": 1, "command": "ls"}),
    ] {
        assert!(!validator.is_valid(&refused), "{refused}");
    }
}
