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
    /// Adds a task that listens with these scopes, and gives the file that it makes when it does.
    async fn add(&self, scopes: &[&str]) -> (TaskId, std::path::PathBuf) {
        let queue: TaskQueueId = QUEUE.parse().unwrap();
        let mut definition =
            harness::task(self.root.now()).with_task_queue_id(queue).with_scopes(scopes.iter().copied());
        let ready = self.folder.path().join(TaskId::new().to_string());
        let bindings = json!({"bindings": [{"exchange": EXCHANGE, "routingKeyPattern": "#"}]}).to_string();
        definition.payload = object! {
            "command": json!([["/bin/sh", "-c", LISTEN]]),
            "env": json!({"BINDINGS": bindings, "READY": ready}),
            "features": json!({"taskclusterProxy": true}),
            "maxRunTime": 600,
        };
        (self.root.create(&definition).await, ready)
    }

    /// What a task has written, once it has ended as it should.
    async fn log(&self, task_id: &TaskId, end: &str) -> String {
        until(|| self.root.state(task_id).map(|state| (state == end).then_some(()))).await;
        let log = self.root.artifacts().download(task_id, 0, "public/logs/live_backing.log").decoded(1_000_000);
        String::from_utf8(soon(log).await.unwrap().to_vec()).unwrap()
    }
}

/// A stream has no end that a proxy could wait for; and the events service shows a task what its scopes allow, no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_hears_events_through_its_proxy() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    let Some(program) = program() else { return };
    let process = soon(Process::start(program, Ground::default())).await.unwrap();
    let root = process.root();
    let bench = Bench { process, root, folder: tempfile::tempdir().unwrap() };
    let worker = NativeWorker::builder(bench.root.caller().root_url().as_str(), QUEUE.parse().unwrap())
        .credentials(bench.root.caller().credentials().unwrap())
        .worker_group("lives")
        .worker_id("native")
        .work_dir(bench.folder.path().join("work"))
        .isolation(Isolation::None)
        .build();
    let (worker, shutdown) = (soon(worker).await.unwrap(), Shutdown::new());
    let stop = shutdown.clone();
    let working = tokio::spawn(async move { worker.run(stop).await.map(drop).unwrap() });

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
