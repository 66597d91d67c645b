//! Caches of the native worker that somebody asks to be purged.

use std::time::Duration;

use futures_util::FutureExt;
use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use serde_json::{Value, json};
use taskcluster::auth::CreateClientRequest;
use taskcluster::purge_cache::PurgeCacheRequest;
use taskcluster::time::{days, hours, minutes};
use taskcluster::{Credentials, ManualClock, TaskId, TaskQueueId, Timestamp, object};
use taskcluster_native_worker::{Isolation, NativeWorker, NativeWorkerBuilder, Shutdown};

const POOL: &str = "test/caches";

struct Bench {
    deployment: Deployment,
    root: Tester,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start(options: Options) -> Self {
        let deployment = soon(Deployment::start(options.with_claim_wait(Duration::from_secs(5)))).await.unwrap();
        let root = deployment.root();
        Self { deployment, root, folder: tempfile::tempdir().unwrap() }
    }

    /// A task with the cache `target` that says `USED` if another one was there before, and then does this.
    async fn add(&self, then: &str, on_exit_status: Value) -> TaskId {
        let queue: TaskQueueId = POOL.parse().unwrap();
        let scopes = ["generic-worker:cache:target"];
        let mut definition = task(self.root.now()).with_task_queue_id(queue).with_scopes(scopes);
        let script = format!("test -e kept/left && echo USED || echo EMPTY; touch kept/left; {then}");
        definition.payload = object! {
            "command": json!([["/bin/sh", "-c", script]]),
            "mounts": json!([{"directory": "kept", "cacheName": "target"}]),
            "onExitStatus": on_exit_status,
            "maxRunTime": 600,
        };
        self.root.create(&definition).await
    }

    fn worker(&self) -> NativeWorkerBuilder {
        NativeWorker::builder(self.deployment.root_url(), POOL.parse().unwrap())
            .credentials(self.root.caller().credentials().unwrap())
            .worker_group("caches")
            .worker_id("native")
            .work_dir(self.folder.path().join("work"))
            .isolation(Isolation::None)
    }

    /// Whether a task found what another one left; it is run by a worker that has just been started.
    async fn finds_it_used(&self) -> bool {
        self.run(json!({})).await
    }

    async fn run(&self, on_exit_status: Value) -> bool {
        let task_id = self.add("", on_exit_status).await;
        self.run_one(self.worker()).await;
        self.found_it_used(&task_id).await
    }

    async fn run_one(&self, worker: NativeWorkerBuilder) {
        let worker = soon(worker.task_limit(1).build()).await.unwrap();
        soon(worker.run(Shutdown::new())).await.unwrap();
    }

    async fn found_it_used(&self, task_id: &TaskId) -> bool {
        until(|| self.root.state(task_id).map(|state| (state == "completed").then_some(()))).await;
        let log = self.root.artifacts().download(task_id, 0, "public/logs/live_backing.log").to_memory(1_000_000);
        let log = String::from_utf8(soon(log).await.unwrap().to_vec()).unwrap();
        let said = |word| log.lines().any(|line| line == word);
        assert_ne!(said("USED"), said("EMPTY"), "{log}");
        said("USED")
    }

    async fn purge(&self, cache: &str) {
        soon(self.root.purge_cache().purge_cache(POOL, &PurgeCacheRequest::new(cache)).into_future()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_finds_a_purged_cache_empty() {
    for backend in Backend::available() {
        let bench = Bench::start(Options::on(backend)).await;
        assert!(!bench.finds_it_used().await);
        assert!(bench.finds_it_used().await);
        bench.purge("another").await;
        assert!(bench.finds_it_used().await);
        bench.purge("target").await;
        assert!(!bench.finds_it_used().await);
        // The request is still open, and the worker has forgotten all but what is on its disk.
        assert!(bench.finds_it_used().await);
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_hears_of_what_is_purged_while_it_works() {
    let bench = Bench::start(Options::on(Backend::Sqlite)).await;
    let shutdown = Shutdown::new();
    let (worker, stop) = (soon(bench.worker().build()).await.unwrap(), shutdown.clone());
    let working = tokio::spawn(async move { worker.run(stop).await.map(drop).unwrap() });
    let finds_it_used = async || {
        let task_id = bench.add("", json!({})).await;
        bench.found_it_used(&task_id).await
    };
    assert!(!finds_it_used().await);
    for _ in 0..2 {
        assert!(finds_it_used().await);
        bench.purge("target").await;
        assert!(!finds_it_used().await);
    }
    shutdown.now();
    soon(working).await.unwrap();
    bench.deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_in_use_is_purged_after_its_task() {
    let bench = Bench::start(Options::on(Backend::Sqlite)).await;
    let shutdown = Shutdown::new();
    let (worker, stop) = (soon(bench.worker().capacity(2).build()).await.unwrap(), shutdown.clone());
    let working = tokio::spawn(async move { worker.run(stop).await.map(drop).unwrap() });
    let (ready, go) = (bench.folder.path().join("ready"), bench.folder.path().join("go"));
    let wait = format!("touch {}; while ! test -e {}; do sleep 0.02; done", ready.display(), go.display());
    let using = bench.add(&wait, json!({})).await;
    until(|| async { ready.exists().then_some(()) }).await;
    let place = bench.folder.path().join("work/caches/target/0");
    bench.purge("target").await;
    // Before it begins with this one, the worker asks.
    let other = bench.add("", json!({})).await;
    assert!(!bench.found_it_used(&other).await);
    assert!(place.join("left").exists(), "it is in use");
    std::fs::write(go, "").unwrap();
    assert!(!bench.found_it_used(&using).await);
    until(|| async { (!place.exists()).then_some(()) }).await;
    shutdown.now();
    soon(working).await.unwrap();
    bench.deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_purge_what_the_run_used() {
    let bench = Bench::start(Options::on(Backend::Sqlite)).await;
    assert!(!bench.finds_it_used().await);
    assert!(bench.run(json!({"purgeCaches": [1, 2]})).await);
    assert!(bench.run(json!({"purgeCaches": [0]})).await);
    assert!(!bench.finds_it_used().await, "the one before ended with 0");
    bench.deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clocks_of_worker_and_service_may_differ() {
    for clock in [Timestamp::now() - hours(3), Timestamp::now() + hours(3)] {
        let clock = ManualClock::at(clock);
        let bench = Bench::start(Options::on(Backend::Sqlite).with_clock(clock.clone())).await;
        bench.purge("target").await;
        clock.advance(minutes(1));
        assert!(!bench.finds_it_used().await);
        assert!(bench.finds_it_used().await, "the request is older");
        clock.advance(minutes(1));
        bench.purge("target").await;
        assert!(!bench.finds_it_used().await);
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_ask_works_all_the_same() {
    let bench = Bench::start(Options::on(Backend::Sqlite)).await;
    let client = CreateClientRequest::new("A worker.", bench.root.now() + days(1)).with_scopes(["queue:*"]);
    let made = soon(bench.root.auth().create_client("worker", &client).into_future()).await.unwrap();
    assert!(!bench.finds_it_used().await);
    bench.purge("target").await;
    let task_id = bench.add("", json!({})).await;
    bench.run_one(bench.worker().credentials(Credentials::new("worker", made.access_token))).await;
    assert!(bench.found_it_used(&task_id).await);
    bench.deployment.stop().await;
}
