//! Real processes under a whole worker, against a queue over HTTP.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;
use taskcluster_core::{Clock, Credentials, SystemClock};
use taskcluster_native_worker::{Done, Event, Isolation, NativeWorker, NativeWorkerBuilder, Shutdown};
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};

const TIMEOUT: Duration = Duration::from_secs(180);
const WORKER_TOKEN: &str = "the-secret-token-of-the-worker-itself";

struct Bench {
    queue: FakeQueue,
    dir: tempfile::TempDir,
    output: Arc<Mutex<Vec<u8>>>,
    shutdown: Shutdown,
    isolation: Isolation,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Isolation::None).await
    }

    async fn with(isolation: Isolation) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let queue = FakeQueue::start().await.unwrap();
        Self { queue, dir, output: Arc::default(), shutdown: Shutdown::new(), isolation }
    }

    fn add(&self, payload: Value) -> TaskId {
        let Value::Object(mut payload) = payload else { panic!("a payload is an object") };
        payload.entry("maxRunTime").or_insert(json!(3600));
        let mut definition = task_with_payload(&payload);
        definition["scopes"] = json!(["generic-worker:cache:*", "a:scope"]);
        self.queue.add_task(definition)
    }

    fn script(&self, script: &str) -> TaskId {
        self.add(json!({"command": [["/bin/sh", "-c", script]]}))
    }

    fn builder(&self) -> NativeWorkerBuilder {
        let output = self.output.clone();
        NativeWorker::builder(self.queue.root_url(), "test/worker".parse().unwrap())
            .credentials(Credentials::new("the-worker", WORKER_TOKEN))
            .worker_group("group")
            .worker_id("worker")
            .work_dir(self.dir.path().join("work"))
            .isolation(self.isolation)
            .task_limit(1)
            .events(Arc::new(move |event| {
                if let Event::Log { chunk, .. } = event {
                    output.lock().unwrap().extend(chunk);
                }
            }))
    }

    async fn run(&self) -> Done {
        let worker = self.builder().build().await.unwrap();
        tokio::time::timeout(TIMEOUT, worker.run(self.shutdown.clone())).await.expect("the worker ends").unwrap()
    }

    async fn resolve(&self, payload: Value) -> (TaskId, String) {
        let task_id = self.add(payload);
        self.run().await;
        (task_id, self.queue.state(&task_id))
    }

    fn log(&self, task_id: &TaskId) -> String {
        self.queue.text(task_id, BACKING_LOG)
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Wait until a line of the task's output begins like this, and return the rest of it.
    async fn line(&self, prefix: &str) -> String {
        let waiting = async {
            loop {
                let printed = self.printed();
                let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
                if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(prefix)) {
                    return rest.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("no {prefix}: {}", self.printed()))
    }
}

/// Whether a process lives; one that only waits to be reaped does not.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[tokio::test]
async fn commands_run_in_order_in_a_directory_of_their_own() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "command": [
                ["/bin/sh", "-c", "echo one > file; pwd; echo to stderr >&2"],
                ["/bin/sh", "-c", "cat file; test \"$PWD\" = \"$TASK_WORKDIR\" && echo same"],
                ["/bin/sh", "-c", "exit 5"],
                ["/bin/sh", "-c", "echo never-comes"],
            ],
            "artifacts": [{"type": "file", "path": "file", "name": "public/file"}],
        }))
        .await;
    assert_eq!(state, "failed");
    let log = bench.log(&task_id);
    for part in ["to stderr\n", "one\n", "same\n", "[taskcluster:error] exit code 5"] {
        assert!(log.contains(part), "{part:?} is missing:\n{log}");
    }
    assert!(!log.lines().any(|line| line == "never-comes"), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/file"), "one\n");
    assert_eq!(std::fs::read_dir(bench.dir.path().join("work/tasks")).unwrap().count(), 0, "the directory is removed");
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_failed_and_says_why() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"command": [["/no/such/program"]]})).await;
    assert_eq!(state, "failed");
    let log = bench.log(&task_id);
    assert!(log.contains("could not be started: /no/such/program"), "{log}");
}

#[tokio::test]
async fn a_signal_is_told() {
    let bench = Bench::new().await;
    let task_id = bench.script("kill -9 $$");
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(bench.log(&task_id).contains("killed by signal 9"));
}

#[tokio::test]
async fn a_payload_without_commands_is_malformed() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"command": [[]], "image": "debian"})).await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    assert!(log.contains("payload/command/0") && log.contains("image"), "{log}");
}

#[tokio::test]
async fn a_mount_outside_of_the_directory_is_malformed() {
    let bench = Bench::new().await;
    let mount = |file: &str| json!({"file": file, "content": {"raw": "x"}});
    for file in ["../escape", "/etc/escape"] {
        let (_, state) = bench.resolve(json!({"command": [["true"]], "mounts": [mount(file)]})).await;
        assert_eq!(state, "exception malformed-payload", "{file}");
    }
    let (task_id, state) = bench.resolve(json!({"command": [["true"]], "mounts": [mount("a"), mount("a")]})).await;
    assert_eq!(state, "exception malformed-payload");
    assert!(bench.log(&task_id).contains("two mounts"));
}

#[tokio::test]
async fn a_cache_is_at_the_same_place_each_time() {
    let bench = Bench::new().await;
    let payload = json!({
        "command": [["/bin/sh", "-c", "cd target && pwd -P && cat left 2>/dev/null; echo was here > left"]],
        "mounts": [{"directory": "target", "cacheName": "build"}],
    });
    let (first, _) = bench.resolve(payload.clone()).await;
    let (second, state) = bench.resolve(payload).await;
    assert_eq!(state, "completed");
    let place = |task_id| bench.log(task_id).lines().find(|line| line.contains("caches/build")).unwrap().to_owned();
    assert_eq!(place(&first), place(&second));
    assert!(bench.log(&second).contains("was here"));
}

#[tokio::test]
async fn daemons_do_not_outlive_their_task() {
    let bench = Bench::new().await;
    let script = "setsid sh -c 'cd /; echo DAEMON $$; exec sleep 1000' & while ! test -e go; do sleep 0.01; done";
    let task_id = bench.add(json!({"command": [["/bin/sh", "-c", script]]}));
    let go = async {
        let pid = bench.line("DAEMON ").await;
        assert!(lives(&pid));
        let tasks = bench.dir.path().join("work/tasks");
        std::fs::write(tasks.join(format!("{task_id}_0/go")), "").unwrap();
        pid
    };
    let (_, pid) = tokio::join!(bench.run(), go);
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(!lives(&pid));
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_killed_with_all_its_processes() {
    let bench = Bench::new().await;
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo CHILD $$; while :; do sleep 1; done' & \
                  echo text > file; wait; while :; do sleep 1; done";
    let task_id = bench.add(json!({
        "command": [["/bin/sh", "-c", script]],
        "maxRunTime": 2,
        "artifacts": [{"type": "file", "path": "file", "name": "public/file"}],
    }));
    let (_, pid) = tokio::join!(bench.run(), bench.line("CHILD "));
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(!lives(&pid));
    assert!(bench.log(&task_id).contains("maxRunTime of 2 s"));
    assert_eq!(bench.queue.text(&task_id, "public/file"), "text\n");
}

#[tokio::test]
async fn a_cancelled_task_is_killed_soon() {
    let bench = Bench::new().await;
    let task_id = bench.script("echo READY $$; while :; do sleep 1000; done");
    let cancel = async {
        let pid = bench.line("READY ").await;
        bench.queue.cancel(&task_id);
        pid
    };
    let (_, pid) = tokio::join!(bench.run(), cancel);
    assert!(!lives(&pid));
    assert!(bench.log(&task_id).contains("cancelled"));
    assert_eq!(bench.queue.state(&task_id), "exception canceled");
}

#[tokio::test]
async fn shutdown_gives_the_task_back() {
    let bench = Bench::new().await;
    let task_id = bench.script("echo READY $$; while :; do sleep 1000; done");
    let stop = async {
        let pid = bench.line("READY ").await;
        bench.shutdown.now();
        pid
    };
    let (_, pid) = tokio::join!(bench.run(), stop);
    assert!(!lives(&pid));
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert!(bench.log(&task_id).contains("READY"));
    assert_eq!(bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created["storageType"], "link");
}

#[tokio::test]
async fn a_dropped_worker_leaves_no_process() {
    let bench = Bench::new().await;
    bench.script("echo READY $$; while :; do sleep 1000; done");
    let pid = tokio::select! {
        _ = bench.run() => panic!("it runs forever"),
        pid = bench.line("READY ") => pid,
    };
    let gone = async {
        while lives(&pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.expect("the process is killed");
}

/// Print the task's environment and every file of the worker's directory that it can read, apart from its own growing log.
const SEARCH: &str =
    "env; tr '\\0' '\\n' < /proc/self/environ; find ../.. -type f ! -name log -exec cat {} + 2>/dev/null; echo";

#[tokio::test]
async fn environment_and_files_of_a_task_hold_no_credentials() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", SEARCH]],
            "mounts": [{"file": "mounted", "content": {"raw": "MOUNTED"}}],
            "features": {"taskclusterProxy": true},
        }))
        .await;
    let log = bench.log(&task_id);
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("MOUNTED") && log.contains("TASKCLUSTER_PROXY_URL=http://127.0.0.1:"), "{log}");
    for secret in [WORKER_TOKEN, "accessToken", "certificate", "TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_CERTIFICATE"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"TASK_ID") && !names.contains(&"CARGO_MANIFEST_DIR"), "only what it should: {names:?}");
}

#[tokio::test]
async fn a_task_calls_the_deployment_through_the_proxy() {
    let bench = Bench::new().await;
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", "curl -sS --noproxy '*' --data-binary hello $TASKCLUSTER_PROXY_URL/api/echo/v1/x"]],
            "features": {"taskclusterProxy": true},
        }))
        .await;
    let log = bench.log(&task_id);
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("\"body\":\"hello\"") && log.contains("Hawk id="), "{log}");
}

#[tokio::test]
async fn each_task_is_another_user_who_is_removed() {
    if Isolation::default_for_caller() == Isolation::None || Command::new("useradd").arg("--help").output().is_err() {
        println!("skipped: needs root and useradd");
        return;
    }
    let bench = Bench::with(Isolation::User).await;
    std::fs::write(bench.dir.path().join("private"), "of the worker").unwrap();
    use std::os::unix::fs::PermissionsExt;
    let private = bench.dir.path().join("private");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let script = format!(
        "echo USER $(id -un); echo HOME $HOME $PWD; cat {0} || echo SAFE; ln -s {0} link; \
         setsid sleep 1000 & echo DAEMON $!; echo kept >> cache/file; cat cache/file; echo own > own",
        private.display()
    );
    let payload = json!({
        "command": [["/bin/sh", "-c", script]],
        "mounts": [{"directory": "cache", "cacheName": "c"}],
        "artifacts": [
            {"type": "file", "path": "own", "name": "public/own"},
            {"type": "file", "path": "link", "name": "public/stolen", "optional": true},
        ],
    });
    let mut users = Vec::new();
    for _ in 0..2 {
        bench.output.lock().unwrap().clear();
        let (task_id, state) = bench.resolve(payload.clone()).await;
        let log = bench.log(&task_id);
        assert_eq!(state, "completed", "{log}");
        let line = |prefix: &str| log.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default().to_owned();
        users.push(line("USER "));
        assert!(log.lines().any(|line| line == "SAFE"), "{log}");
        assert!(!lives(&line("DAEMON ")));
        assert_eq!(bench.queue.text(&task_id, "public/own"), "own\n");
        let stolen = bench.queue.artifact(&task_id, "public/stolen").unwrap().created;
        assert_eq!(stolen["reason"], "file-not-readable-on-worker");
        assert!(users.len() == 1 || log.matches("kept\n").count() >= 2, "the cache persists:\n{log}");
    }
    assert!(users.iter().all(|user| user.starts_with("tctask-")) && users[0] != users[1], "{users:?}");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    assert!(!users.iter().any(|user| passwd.contains(&format!("{user}:"))), "they are removed");
}

#[tokio::test]
async fn what_a_dead_worker_left_is_removed() {
    let bench = Bench::new().await;
    let left = bench.dir.path().join("work/tasks/left_0");
    std::fs::create_dir_all(&left).unwrap();
    let mut child = Command::new("sleep").arg("1000").env("TASK_WORKDIR", &left).spawn().unwrap();
    let began = SystemClock.now();
    let task_id = bench.script("true");
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(!left.exists());
    assert!(!child.wait().unwrap().success(), "it was killed");
    assert!(SystemClock.now().since(began) < Duration::from_secs(900), "and not waited for");
}
