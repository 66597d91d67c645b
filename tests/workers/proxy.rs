//! The proxy of a task and what is behind it in a whole deployment.

use std::future::IntoFuture;

use futures_util::FutureExt;
use harness::{Ground, Process, Tester, program, soon, until};
use serde_json::json;
use taskcluster::auth::{Auth, CreateRoleRequest};
use taskcluster::{TaskId, TaskQueueId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};

const QUEUE: &str = "test/listeners";
const EXCHANGE: &str = "exchange/taskcluster-queue/v1/task-defined";

/// Listens until it has heard the message of a task that is created once it listens.
const LISTEN: &str = r#"
    mkfifo stream
    curl -sSN --noproxy '*' -G --data-urlencode "bindings=$BINDINGS" "$TASKCLUSTER_PROXY_URL/api/events/v1/connect/" >stream &
    while read -r line; do
        echo "$line"
        case $line in
            "event: ready"*) touch "$READY" ;;
            "data: {"*"task-defined"*) kill $!; exit 0 ;;
        esac
    done <stream
    echo "$line"
    exit 1"#;

struct Bench {
    process: Process,
    root: Tester,
    folder: tempfile::TempDir,
}

impl Bench {
    /// `None`, which is said, where there is no `curl` or no program.
    async fn new() -> Option<Self> {
        if std::process::Command::new("curl").arg("--version").output().is_err() {
            println!("skipped: there is no curl");
            return None;
        }
        let process = soon(Process::start(program()?, Ground::default())).await.unwrap();
        let root = process.root();
        Some(Self { process, root, folder: tempfile::tempdir().unwrap() })
    }

    /// A worker that runs until it is told to stop.
    async fn work(&self) -> (Shutdown, tokio::task::JoinHandle<()>) {
        let worker = NativeWorker::builder(self.root.caller().root_url().as_str(), QUEUE.parse().unwrap())
            .credentials(self.root.caller().credentials().unwrap())
            .worker_group("lives")
            .worker_id("native")
            .work_dir(self.folder.path().join("work"))
            .isolation(Isolation::None)
            .build();
        let (worker, shutdown) = (soon(worker).await.unwrap(), Shutdown::new());
        let stop = shutdown.clone();
        (shutdown, tokio::spawn(async move { worker.run(stop).await.map(drop).unwrap() }))
    }

    /// Adds a task that runs a script with the proxy.
    async fn add_script(&self, script: &str, scopes: &[&str], env: serde_json::Value) -> TaskId {
        let queue: TaskQueueId = QUEUE.parse().unwrap();
        let mut definition =
            harness::task(self.root.now()).with_task_queue_id(queue).with_scopes(scopes.iter().copied());
        definition.payload = object! {
            "command": json!([["/bin/sh", "-c", script]]),
            "env": env,
            "features": json!({"taskclusterProxy": true}),
            "maxRunTime": 600,
        };
        self.root.create(&definition).await
    }

    /// Adds a task that listens with these scopes, and gives the file that it makes when it does.
    async fn add(&self, scopes: &[&str]) -> (TaskId, std::path::PathBuf) {
        let ready = self.folder.path().join(TaskId::new().to_string());
        let bindings = json!({"bindings": [{"exchange": EXCHANGE, "routingKeyPattern": "#"}]}).to_string();
        (self.add_script(LISTEN, scopes, json!({"BINDINGS": bindings, "READY": ready})).await, ready)
    }

    /// What a task has written, once it has ended as it should.
    async fn log(&self, task_id: &TaskId, end: &str) -> String {
        until(|| self.root.state(task_id).map(|state| (state == end).then_some(()))).await;
        let log = self.root.artifacts().download(task_id, 0, "public/logs/live_backing.log").to_memory(1_000_000);
        String::from_utf8(soon(log).await.unwrap().to_vec()).unwrap()
    }
}

/// A stream has no end that a proxy could wait for; and the events service shows a task what its scopes allow, no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_hears_events_through_its_proxy() {
    let Some(bench) = Bench::new().await else { return };
    let (shutdown, working) = bench.work().await;

    // Otherwise everybody may.
    let auth = Auth::new(bench.root.caller().clone());
    let everybody = soon(auth.role("anonymous").into_future()).await.unwrap();
    let fewer = everybody.scopes.into_iter().filter(|scope| !scope.starts_with("events:"));
    let role = CreateRoleRequest::new(everybody.description, fewer);
    soon(auth.update_role("anonymous", &role).into_future()).await.unwrap();

    let (listener, ready) = bench.add(&["events:listen:exchange/taskcluster-queue/v1/*"]).await;
    until(|| async { ready.exists().then_some(()) }).await;
    let (stranger, _) = bench.add(&["events:listen:exchange/taskcluster-auth/*"]).await;
    let heard = bench.log(&listener, "completed").await;
    assert!(heard.contains(EXCHANGE) && heard.contains(&stranger.to_string()), "{heard}");
    let refused = bench.log(&stranger, "failed").await;
    assert!(refused.contains("InsufficientScopes") && !refused.contains("data: true"), "{refused}");
    shutdown.now();
    soon(working).await.unwrap();
    drop(bench.process);
}

/// What a task of long ago does, and what none is to do.
const AS_OF_OLD: &str = r#"
    current=auth/v1/scopes/current
    call() { curl -sS --noproxy '*' "$@"; echo; }
    echo "by service: $(call "$TASKCLUSTER_PROXY_URL/$current")"
    echo "by host: $(call "$TASKCLUSTER_PROXY_URL/${TASKCLUSTER_ROOT_URL#http://}/api/$current")"
    echo "unsigned: $(call "$TASKCLUSTER_ROOT_URL/api/$current")"
    # Follows to where the answer leads, which is past the proxy.
    echo "signed: $(call -L --data "$TASKCLUSTER_ROOT_URL/api/$current" "$TASKCLUSTER_PROXY_URL/bewit")"
    echo "elsewhere: $(call -o /dev/null -w '%{http_code}' --data https://elsewhere.example/x "$TASKCLUSTER_PROXY_URL/bewit")"
    mine='{"clientId": "mine", "accessToken": "mine", "certificate": ""}'
    echo "credentials: $(call -o /dev/null -w '%{http_code}' -X PUT --data "$mine" "$TASKCLUSTER_PROXY_URL/credentials")"
    echo "afterwards: $(call "$TASKCLUSTER_PROXY_URL/api/$current")""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_long_ago_finds_the_proxy_that_it_knows() {
    let Some(bench) = Bench::new().await else { return };
    let (shutdown, working) = bench.work().await;
    let task_id = bench.add_script(AS_OF_OLD, &["scope:of:the:task", "auth:current-scopes"], json!({})).await;
    let log = bench.log(&task_id, "completed").await;
    let said = |what: &str| {
        let line = log.lines().find(|line| line.starts_with(&format!("{what}: ")));
        line.unwrap_or_else(|| panic!("{what} in {log}")).to_owned()
    };
    for way in ["by service", "by host", "signed", "afterwards"] {
        assert!(said(way).contains("\"scope:of:the:task\""), "{log}");
    }
    assert!(!said("unsigned").contains("scope:of:the:task"), "{log}");
    assert!(said("elsewhere").ends_with("400") && said("credentials").ends_with("404"), "{log}");
    shutdown.now();
    soon(working).await.unwrap();
    drop(bench.process);
}
