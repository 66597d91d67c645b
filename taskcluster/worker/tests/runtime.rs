//! The runtime against a queue over real HTTP: what ends how.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use taskcluster::events::{Bus, MemoryBus, Message};
use taskcluster::queue::events::TaskException;
use taskcluster_core::ids::TaskId;
use taskcluster_core::{Clock, Credentials, RetryPolicy, SystemClock, time::days};
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::engine::{ResultSet, SandboxBuilder, SandboxHandle};
use taskcluster_worker::plugins::{
    Artifacts, BACKING_LOG, BackingLog, Env, ExitStatus, LIVE_LOG, LiveLog, MaxRunTime, Mounts, Proxy,
};
use taskcluster_worker::testing::{FakeQueue, MockEngine, task_with_payload};
use taskcluster_worker::{
    Done, Error, Event, Identity, Outcome, Plugin, Result, Settings, Shutdown, TaskContext, TaskPlugin, Verdict,
    WhyDone, Worker, WorkerError,
};

/// A queue and a worker with the mock engine and all plugins.
struct Bench {
    queue: FakeQueue,
    bus: Option<MemoryBus>,
    dir: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
    shutdown: Shutdown,
}

const TIMEOUT: Duration = Duration::from_secs(120);

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            queue: FakeQueue::start().await.unwrap(),
            bus: None,
            dir,
            events: Arc::default(),
            shutdown: Shutdown::new(),
        }
    }

    fn add(&self, payload: Value) -> TaskId {
        self.add_with(payload, |_| {})
    }

    fn add_with(&self, payload: Value, change: impl FnOnce(&mut Value)) -> TaskId {
        let Value::Object(mut payload) = payload else { panic!("a payload is an object") };
        payload.entry("maxRunTime").or_insert(json!(3600));
        let mut definition = task_with_payload(&payload);
        change(&mut definition);
        self.queue.add_task(definition)
    }

    async fn worker(&self, settings: impl FnOnce(&mut Settings), extra: Option<Trouble>) -> Worker {
        let mut values = Settings::new(self.dir.path());
        values.task_limit = Some(1);
        values.backoff = Duration::from_millis(10);
        values.cancel_poll = Duration::from_millis(100);
        settings(&mut values);
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let caches = CacheStore::open(self.dir.path().join("caches")).unwrap();
        let events = self.events.clone();
        let mut builder = Worker::builder(self.queue.root_url(), identity, MockEngine::default(), values)
            .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
            .retry(RetryPolicy::default().with_retries(2).with_base(Duration::from_millis(10)))
            .events(Arc::new(move |event| events.lock().unwrap().push(event)))
            .plugin(Env::default())
            .plugin(MaxRunTime::new(Duration::from_secs(7200)))
            .plugin(ExitStatus::default())
            .caches(caches.clone())
            .plugin(Mounts::new(caches, "test:cache:"))
            .plugin(Proxy::default())
            .plugin(Artifacts::default());
        if let Some(extra) = extra {
            builder = builder.plugin(extra);
        }
        if let Some(bus) = &self.bus {
            builder = builder.bus(Arc::new(bus.clone()));
        }
        let live_log = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap();
        builder.plugin(BackingLog::default()).plugin(live_log).build().unwrap()
    }

    async fn run_with(&self, settings: impl FnOnce(&mut Settings), extra: Option<Trouble>) -> Done {
        let worker = self.worker(settings, extra).await;
        tokio::time::timeout(TIMEOUT, worker.run(self.shutdown.clone())).await.expect("the worker ends").unwrap()
    }

    async fn run(&self) {
        let done = self.run_with(|_| {}, None).await;
        assert_eq!((done.runs, done.why), (1, WhyDone::TaskLimit));
    }

    /// Run one task and say how it ended.
    async fn resolve(&self, payload: Value) -> (TaskId, String) {
        let task_id = self.add(payload);
        self.run().await;
        (task_id, self.queue.state(&task_id))
    }

    fn log(&self, task_id: &TaskId) -> String {
        self.queue.text(task_id, BACKING_LOG)
    }

    /// Wait until the log of a task can be followed, which is shortly before its code starts.
    async fn live(&self, task_id: &TaskId) {
        self.queue.until(|queue| queue.artifact(task_id, LIVE_LOG).is_some()).await;
    }

    fn position(&self, part: &str) -> usize {
        let received = self.queue.received();
        received.iter().position(|request| request.line.contains(part)).unwrap_or_else(|| panic!("no {part}"))
    }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn success_is_completed_with_log_and_artifacts() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .resolve(json!({
            "mock": [
                {"print": "hello\n"}, {"write": {"path": "out/a.txt", "text": "A"}}, {"write": {"path": "b", "text": "B"}},
                {"printEnv": "TASK_ID"}, {"printEnv": "MINE"},
            ],
            "env": {"MINE": "is here", "TASK_ID": "cannot be changed"},
            "artifacts": [
                {"type": "directory", "path": "out", "name": "public/out"},
                {"type": "file", "path": "b", "name": "public/b", "contentType": "text/x-b"},
            ],
        }))
        .await;
    assert_eq!(state, "completed");
    let log = bench.log(&task_id);
    assert!(log.contains("hello\n") && log.contains(&format!("{task_id}is here")), "{log}");
    assert_eq!(bench.queue.text(&task_id, "public/out/a.txt"), "A");
    assert_eq!(bench.queue.text(&task_id, "public/b"), "B");
    assert_eq!(bench.queue.artifact(&task_id, "public/b").unwrap().created["contentType"], "text/x-b");
    let live = bench.queue.artifact(&task_id, LIVE_LOG).unwrap();
    assert_eq!(
        (live.created["storageType"].as_str(), live.created["artifact"].as_str()),
        (Some("link"), Some(BACKING_LOG))
    );
    let events: Vec<String> = bench.events.lock().unwrap().iter().map(|event| format!("{event:?}")).collect();
    assert!(
        events.first().unwrap().starts_with("Claimed") && events.last().unwrap().starts_with("Resolved"),
        "{events:?}"
    );
    assert!(events.iter().any(|event| event.starts_with("Started")));
    assert!(events.iter().any(|event| event.starts_with("Log") && event.contains("hello")));
}

#[tokio::test]
async fn every_violation_of_the_schema_is_in_the_log_of_a_malformed_payload() {
    let bench = Bench::new().await;
    let payload = json!({"mock": [{"dance": 1}], "features": {"flying": true}, "maxRunTime": 0, "unknown": 1});
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    for part in ["payload/mock/0", "flying", "payload/maxRunTime", "unknown"] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
}

#[tokio::test]
async fn reasons_of_all_plugins_are_in_the_log_of_a_malformed_payload() {
    let bench = Bench::new().await;
    let late = SystemClock.now() + days(300);
    let (task_id, state) = bench
        .resolve(json!({
            "mock": [{"print": "never"}],
            "maxRunTime": 7201,
            "env": {"A=B": "x"},
            "mounts": [
                {"directory": "cache", "cacheName": "not-mine"},
                {"file": "f", "content": {"taskId": TaskId::new(), "artifact": "public/x"}},
            ],
            "artifacts": [
                {"type": "file", "path": "a", "name": "twice"}, {"type": "file", "path": "b", "name": "twice"},
                {"type": "file", "path": "c", "name": BACKING_LOG},
                {"type": "file", "path": "d", "expires": late},
            ],
        }))
        .await;
    assert_eq!(state, "exception malformed-payload");
    let log = bench.log(&task_id);
    for part in [
        "7201 seconds",
        "A=B",
        "test:cache:not-mine",
        "not among the dependencies",
        "two artifacts have the name \"twice\"",
        "live_backing.log",
        "\"d\" expires after the task",
    ] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    assert!(!log.contains("never"));
}

#[tokio::test]
async fn mounted_content_that_does_not_exist_is_a_malformed_payload() {
    let bench = Bench::new().await;
    let other = bench.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else");
    bench.queue.add_artifact(&other, "public/never", Err("file-missing-on-worker"));
    for artifact in ["public/none", "public/never"] {
        let payload =
            json!({"mock": [], "mounts": [{"file": "f", "content": {"taskId": other, "artifact": artifact}}]});
        let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
        bench.run().await;
        assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
        assert!(bench.log(&task_id).contains(artifact));
    }
}

#[tokio::test]
async fn content_is_mounted_and_its_hash_checked() {
    let bench = Bench::new().await;
    let other = bench.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else");
    bench.queue.add_artifact(&other, "public/text", Ok("from afar"));
    let hash = "0000000000000000000000000000000000000000000000000000000000000000";
    let content = json!({"taskId": other, "artifact": "public/text"});
    let payload = json!({
        "mock": [{"printFile": "near"}, {"printFile": "far"}],
        "mounts": [{"file": "near", "content": {"raw": "from here "}}, {"file": "far", "content": content}],
    });
    let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
    bench.run().await;
    assert!(bench.log(&task_id).contains("from here from afar"));
    let content = json!({"taskId": other, "artifact": "public/text", "sha256": hash});
    let payload = json!({"mock": [], "mounts": [{"file": "far", "content": content}]});
    let task_id = bench.add_with(payload, |task| task["dependencies"] = json!([other]));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    assert!(bench.log(&task_id).contains("hashes to"));
}

#[tokio::test]
async fn caches_persist_from_task_to_task() {
    let bench = Bench::new().await;
    let mounts = json!([{"directory": "kept", "cacheName": "c"}]);
    let scoped = |task: &mut Value| task["scopes"] = json!(["test:cache:*"]);
    bench.add_with(json!({"mock": [{"write": {"path": "kept/f", "text": "remembered"}}], "mounts": mounts}), scoped);
    bench.run().await;
    let second = bench.add_with(
        json!({"mock": [{"printFile": "kept/f"}, {"exit": 9}], "mounts": mounts, "onExitStatus": {"purgeCaches": [9]}}),
        scoped,
    );
    bench.run().await;
    assert!(bench.log(&second).contains("remembered"));
    let third = bench.add_with(json!({"mock": [{"printFile": "kept/f"}], "mounts": mounts}), scoped);
    bench.run().await;
    assert_eq!(bench.queue.state(&third), "failed", "the cache was purged");
}

#[tokio::test]
async fn a_cache_is_there_for_artifacts_before_it_is_purged() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "kept/report", "text": "what is wrong"}}, {"exit": 9}],
        "mounts": [{"directory": "kept", "cacheName": "target"}],
        "artifacts": [{"type": "file", "path": "kept/report", "name": "public/report"}],
        "onExitStatus": {"purgeCaches": [9]},
    });
    let task_id = bench.add_with(payload, |task| task["scopes"] = json!(["test:cache:target"]));
    bench.run().await;
    assert_eq!(bench.queue.text(&task_id, "public/report"), "what is wrong");
    assert!(!bench.dir.path().join("caches/target/0").exists());
}

#[tokio::test]
async fn a_deployment_without_purge_cache_is_asked_once_and_only_when_there_are_caches() {
    let bench = Bench::new().await;
    let payload = json!({"mock": [], "mounts": [{"directory": "kept", "cacheName": "target"}]});
    for _ in 0..4 {
        bench.add_with(payload.clone(), |task| task["scopes"] = json!(["test:cache:target"]));
    }
    let done = bench.run_with(|settings| settings.task_limit = Some(4), None).await;
    assert_eq!(done.runs, 4);
    let asked = bench.queue.received().into_iter().filter(|request| request.line.contains("/purge-cache/"));
    let asked: Vec<String> = asked.map(|request| request.line).collect();
    assert_eq!(asked, ["GET /api/purge-cache/v1/purge-cache/test%2Fworker"]);
}

#[tokio::test]
async fn nothing_is_claimed_while_the_disk_is_short_and_caches_go_for_it() {
    let bench = Bench::new().await;
    let caches = CacheStore::open(bench.dir.path().join("caches")).unwrap();
    let task_id = bench.add(json!({"mock": []}));
    let worker = bench.worker(|settings| settings.required_disk_space = u64::MAX, None).await;
    let looking_on = async {
        // A cache that nobody uses is gone whenever the worker has looked.
        for name in ["first", "second", "third"] {
            let cache = caches.acquire(name).unwrap().path().to_owned();
            while cache.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        bench.shutdown.now();
    };
    let working = async { tokio::join!(worker.run(bench.shutdown.clone()), looking_on) };
    let (done, ()) = tokio::time::timeout(TIMEOUT, working).await.expect("the worker looks again");
    let said = bench.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Trouble { .. })).count();
    assert_eq!((done.unwrap().runs, said), (0, 1), "it is said once");
    assert_eq!(bench.queue.state(&task_id), "pending");
}

#[tokio::test]
async fn failing_code_is_failed_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "a", "text": "A"}}, {"exit": 3}],
        "artifacts": [{"type": "file", "path": "a", "name": "public/a"}],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    assert_eq!(bench.queue.text(&task_id, "public/a"), "A");
    assert!(bench.log(&task_id).contains("[taskcluster:error] exit code 3"));
}

#[tokio::test]
async fn a_listed_exit_code_is_intermittent() {
    let bench = Bench::new().await;
    let (_, state) = bench.resolve(json!({"mock": [{"exit": 4}], "onExitStatus": {"retry": [4]}})).await;
    assert_eq!(state, "exception intermittent-task");
}

#[tokio::test]
async fn code_that_runs_too_long_is_failed_and_artifacts_are_kept() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "a", "text": "A"}}, {"forever": "running"}],
        "maxRunTime": 1,
        "artifacts": [{"type": "file", "path": "a", "name": "public/a"}],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    assert_eq!(bench.queue.text(&task_id, "public/a"), "A");
    assert!(bench.log(&task_id).contains("maxRunTime of 1 s"));
}

#[tokio::test]
async fn a_missing_artifact_is_an_error_artifact_and_fails_unless_optional() {
    let bench = Bench::new().await;
    let artifact = json!({"type": "file", "path": "none", "name": "public/none"});
    let (task_id, state) = bench.resolve(json!({"mock": [], "artifacts": [artifact]})).await;
    assert_eq!(state, "failed");
    let created = bench.queue.artifact(&task_id, "public/none").unwrap().created;
    assert_eq!((&created["storageType"], &created["reason"]), (&json!("error"), &json!("file-missing-on-worker")));

    let artifact = json!({"type": "file", "path": "none", "name": "public/none", "optional": true});
    let (task_id, state) = bench.resolve(json!({"mock": [], "artifacts": [artifact]})).await;
    assert_eq!(state, "completed");
    assert_eq!(bench.queue.artifact(&task_id, "public/none").unwrap().created["storageType"], "error");

    let artifact = json!({"type": "directory", "path": "f", "name": "public/f"});
    let payload = json!({"mock": [{"write": {"path": "f", "text": ""}}], "artifacts": [artifact]});
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "failed");
    let created = bench.queue.artifact(&task_id, "public/f").unwrap().created;
    assert_eq!(created["reason"], "invalid-resource-on-worker");
}

#[tokio::test]
async fn a_directory_that_brings_a_name_twice_is_a_malformed_payload() {
    let bench = Bench::new().await;
    let payload = json!({
        "mock": [{"write": {"path": "dir/x", "text": ""}}],
        "artifacts": [
            {"type": "file", "path": "dir/x", "name": "public/dir/x"},
            {"type": "directory", "path": "dir", "name": "public/dir"},
        ],
    });
    let (task_id, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception malformed-payload");
    assert!(bench.log(&task_id).contains("public/dir/x"));
}

#[tokio::test]
async fn a_failed_upload_is_an_internal_error() {
    let bench = Bench::new().await;
    bench.queue.fail_uploads(true);
    let artifact = json!({"type": "file", "path": "a", "name": "public/a"});
    let payload = json!({"mock": [{"write": {"path": "a", "text": "A"}}], "artifacts": [artifact]});
    let (_, state) = bench.resolve(payload).await;
    assert_eq!(state, "exception internal-error");
}

#[tokio::test]
async fn a_log_that_cannot_be_uploaded_is_an_internal_error() {
    let bench = Bench::new().await;
    bench.queue.fail_uploads(true);
    let (_, state) = bench.resolve(json!({"mock": []})).await;
    assert_eq!(state, "exception internal-error");
}

/// A plugin that makes trouble.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It fails in this hook.
    At(&'static str),
    /// It keeps a run from going on until the queue has it as resolved.
    Stays,
}

struct TaskTrouble {
    trouble: Trouble,
    task: Arc<TaskContext>,
}

impl Plugin for Trouble {
    fn name(&self) -> &'static str {
        "trouble"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskTrouble { trouble: *self, task: task.clone() })
    }
}

impl TaskTrouble {
    fn at(&self, hook: &'static str) -> Result<()> {
        match self.trouble {
            Trouble::At(at) if at == hook => Err(Error::worker("a disk is broken")),
            Trouble::At(_) | Trouble::Stays => Ok(()),
        }
    }
}

#[async_trait]
impl TaskPlugin for TaskTrouble {
    async fn build(&mut self, _builder: &mut dyn SandboxBuilder) -> Result<()> {
        self.at("build")
    }

    async fn started(&mut self, _sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        if matches!(self.trouble, Trouble::Stays) {
            let state = async || self.task.queue().status(&self.task.task_id()).await.unwrap().status.state;
            while state().await.as_str() == "running" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.at("started")
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.at("stopped").map(|()| Verdict::Good)
    }
}

#[tokio::test]
async fn a_fault_of_the_worker_gives_the_run_back_before_the_code_ran_and_is_internal_after() {
    for (hook, state) in [
        ("build", "exception worker-shutdown"),
        ("started", "exception internal-error"),
        ("stopped", "exception internal-error"),
    ] {
        let bench = Bench::new().await;
        let acts = if hook == "started" { json!([{"forever": "running"}]) } else { json!([{"print": "ran"}]) };
        let task_id = bench.add(json!({"mock": acts}));
        bench.run_with(|_| {}, Some(Trouble::At(hook))).await;
        assert_eq!(bench.queue.state(&task_id), state, "{hook}");
        assert!(bench.log(&task_id).contains("a disk is broken"), "{hook}");
    }
}

#[tokio::test]
async fn a_worker_at_fault_waits_before_it_claims_again() {
    let bench = Bench::new().await;
    bench.queue.fail_claims(400, 1);
    let first = bench.add(json!({"mock": []}));
    let second = bench.add(json!({"mock": []}));
    let began = SystemClock.now();
    let settings = |settings: &mut Settings| {
        settings.task_limit = Some(2);
        settings.backoff = Duration::from_millis(300);
    };
    bench.run_with(settings, Some(Trouble::At("build"))).await;
    assert_eq!(bench.queue.state(&first), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&second), "exception worker-shutdown");
    // Once after the claim that failed, once after the run that did.
    assert!(SystemClock.now().since(began) >= Duration::from_millis(600));
    let trouble = |event: &Event| matches!(event, Event::Trouble { .. });
    assert!(bench.events.lock().unwrap().iter().any(trouble));
}

#[tokio::test]
async fn credentials_that_never_worked_end_the_worker() {
    for (status, advice) in [(401, "check its client id and access token"), (403, "the scopes that it lacks")] {
        let bench = Bench::new().await;
        // A claim that fails otherwise lets nobody in.
        bench.queue.fail_claims(400, 1);
        let worker = bench.worker(|settings| settings.task_limit = None, None).await;
        let refuse = async {
            bench.queue.request("claim-work").await;
            bench.queue.fail_claims(status, u32::MAX);
        };
        let (end, ()) = tokio::join!(tokio::time::timeout(TIMEOUT, worker.run(bench.shutdown.clone())), refuse);
        let error = end.expect("the worker ends").unwrap_err();
        let expected = match error {
            WorkerError::Unauthorized(_) => 401,
            WorkerError::Forbidden(_) => 403,
            other => panic!("{other:?}"),
        };
        assert_eq!(status, expected);
        let told = taskcluster_core::chain(&error).to_string();
        assert!(told.contains(advice) && told.contains(&status.to_string()), "{told}");
    }
}

#[tokio::test]
async fn credentials_that_have_worked_are_tried_again() {
    for status in [401, 403] {
        let bench = Bench::new().await;
        let first = bench.add(json!({"mock": [{"forever": "running"}]}));
        // Nothing is claimed while the only task that fits runs.
        let refuse = async {
            bench.live(&first).await;
            bench.queue.fail_claims(status, 2);
            let second = bench.add(json!({"mock": []}));
            bench.queue.cancel(&first);
            second
        };
        let (done, second) = tokio::join!(bench.run_with(|settings| settings.task_limit = Some(2), None), refuse);
        assert_eq!((done.runs, done.why), (2, WhyDone::TaskLimit));
        assert_eq!(bench.queue.state(&second), "completed");
        let claims = bench.queue.received().iter().filter(|request| request.line.contains("claim-work")).count();
        assert_eq!(claims, 4);
    }
}

#[tokio::test]
async fn a_cancelled_task_is_stopped_without_a_report_and_its_log_uploaded() {
    is_stopped(FakeQueue::cancel, "exception canceled", "cancelled").await;
}

#[tokio::test]
async fn a_task_past_its_deadline_is_stopped_without_a_report_and_its_log_uploaded() {
    is_stopped(FakeQueue::pass_deadline, "exception deadline-exceeded", "past its deadline").await;
}

async fn is_stopped(end: impl FnOnce(&FakeQueue, &TaskId), state: &str, why: &str) {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let ending = async {
        bench.live(&task_id).await;
        end(&bench.queue, &task_id);
    };
    tokio::join!(bench.run(), ending);
    assert_eq!(bench.queue.state(&task_id), state);
    assert!(bench.log(&task_id).contains(&format!("the run is stopped: {why}\n")));
    for report in ["/completed", "/failed", "/exception"] {
        assert!(!bench.queue.received().iter().any(|request| request.line.ends_with(report)), "{report}");
    }
}

#[tokio::test]
async fn a_cancellation_is_heard_where_there_are_events() {
    let mut bench = Bench::new().await;
    let bus = MemoryBus::new();
    bench.bus = Some(bus.clone());
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let cancel = async {
        bench.live(&task_id).await;
        bench.queue.cancel(&task_id);
        // A run of somebody else is none of its business, and what it hears is only a reason to ask.
        for worker in ["other", "worker"] {
            let key = TaskException::key(
                &task_id,
                Some(0.into()),
                Some("group"),
                Some(worker),
                "test",
                "worker",
                "-",
                &task_id,
            );
            bus.publish(Message::new(TaskException::EXCHANGE.exchange, key, "{}")).await.unwrap();
        }
    };
    // It does not ask by itself.
    let seldom = bench.run_with(|settings| settings.cancel_poll = Duration::from_secs(3600), None);
    tokio::join!(seldom, cancel);
    assert!(bench.log(&task_id).contains("the run is stopped: cancelled\n"));
}

#[tokio::test]
async fn without_a_bus_that_works_the_queue_is_asked() {
    let mut bench = Bench::new().await;
    let bus = MemoryBus::new();
    bus.close();
    bench.bus = Some(bus);
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let cancel = async {
        bench.live(&task_id).await;
        bench.queue.cancel(&task_id);
    };
    tokio::join!(bench.run(), cancel);
    assert!(bench.log(&task_id).contains("the run is stopped: cancelled\n"));
}

#[tokio::test]
async fn a_claim_is_renewed_with_fresh_credentials_and_a_conflict_stops_the_run() {
    let bench = Bench::new().await;
    bench.queue.claim_for(Duration::from_secs(2));
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let lose = async {
        let reclaim =
            |queue: &FakeQueue| queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count();
        // The second is signed with what the first has brought.
        bench.queue.until(|queue| reclaim(queue) >= 2).await;
        bench.queue.fail_reclaims(409);
    };
    tokio::join!(
        async { bench.run_with(|settings| settings.cancel_poll = Duration::from_secs(3600), None).await },
        lose
    );
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    assert!(bench.log(&task_id).contains("the run is stopped"));
}

#[tokio::test]
async fn a_claim_that_cannot_be_renewed_is_given_up_when_it_ends() {
    let bench = Bench::new().await;
    bench.queue.claim_for(Duration::from_secs(6));
    bench.queue.fail_reclaims(500);
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    let resolved = Event::Resolved {
        task_id,
        run_id: 0.into(),
        outcome: Outcome::NotOurs(taskcluster_worker::outcome::NotOurs::ClaimLost),
    };
    assert_eq!(format!("{:?}", bench.events.lock().unwrap().last().unwrap()), format!("{resolved:?}"));
    assert!(bench.queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count() > 1);
}

#[tokio::test]
async fn shutdown_gives_the_run_back_at_once_and_then_uploads_the_log() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.shutdown.now();
    };
    let (done, ()) = tokio::join!(bench.run_with(|settings| settings.task_limit = None, None), shut);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert!(bench.log(&task_id).contains("worker-shutdown"));
    assert!(bench.position("/exception") < bench.position("PUT /content"));
}

#[tokio::test]
async fn shutdown_tells_the_queue_without_waiting_for_what_does_not_end() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.shutdown.now();
    };
    let settings = |settings: &mut Settings| settings.task_limit = None;
    let (done, ()) = tokio::join!(bench.run_with(settings, Some(Trouble::Stays)), shut);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    let reports = bench.queue.received().iter().filter(|request| request.line.ends_with("/exception")).count();
    assert_eq!(reports, 1);
    assert!(bench.log(&task_id).contains("worker-shutdown"));
}

#[tokio::test]
async fn drain_lets_the_run_end() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}], "maxRunTime": 2}));
    let drain = async {
        bench.live(&task_id).await;
        bench.shutdown.drain();
    };
    let (done, ()) = tokio::join!(bench.run_with(|settings| settings.task_limit = None, None), drain);
    assert_eq!((done.runs, done.why), (1, WhyDone::Shutdown));
    assert_eq!(bench.queue.state(&task_id), "failed");
}

#[tokio::test]
async fn a_work_directory_is_one_workers_at_a_time() {
    let bench = Bench::new().await;
    let (first, second) = (bench.worker(|_| {}, None).await, bench.worker(|_| {}, None).await);
    let began = async {
        bench.queue.request("claim-work").await;
        let error = second.run(Shutdown::new()).await.unwrap_err();
        assert!(format!("{error:?}").contains("another worker uses it"), "{error:?}");
        bench.shutdown.drain();
    };
    let (done, ()) = tokio::join!(first.run(bench.shutdown.clone()), began);
    assert_eq!(done.unwrap().why, WhyDone::Shutdown);
}

#[tokio::test]
async fn an_idle_worker_goes() {
    let bench = Bench::new().await;
    let idle = |settings: &mut Settings| settings.idle_timeout = Some(Duration::from_millis(50));
    assert_eq!(bench.run_with(idle, None).await.why, WhyDone::Idle);
}

#[tokio::test]
async fn runs_of_a_former_life_are_given_back() {
    let bench = Bench::new().await;
    let ours = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "worker");
    let other = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "another");
    bench.run_with(|settings| settings.idle_timeout = Some(Duration::from_millis(10)), None).await;
    assert_eq!(bench.queue.state(&ours), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&other), "running");
}

#[tokio::test]
async fn claims_whose_answer_was_lost_are_taken_up() {
    let bench = Bench::new().await;
    bench.queue.lose_claims(1);
    let tasks = [bench.add(json!({"mock": []})), bench.add(json!({"mock": []}))];
    let settings = |settings: &mut Settings| (settings.capacity, settings.task_limit) = (2, Some(2));
    let done = bench.run_with(settings, None).await;
    assert_eq!(tasks.map(|task| bench.queue.state(&task)), ["completed", "completed"]);
    assert_eq!((done.runs, done.why), (2, WhyDone::TaskLimit));
    let claims = bench.queue.received().iter().filter(|request| request.line.contains("claim-work")).count();
    assert_eq!(claims, 1);
}

#[tokio::test]
async fn a_claim_that_was_lost_while_the_worker_went_away_is_given_back() {
    let bench = Bench::new().await;
    let told = async {
        bench.queue.request("claim-work").await;
        let unheard = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "worker");
        bench.shutdown.now();
        unheard
    };
    let (done, unheard) = tokio::join!(bench.run_with(|_| {}, None), told);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&unheard), "exception worker-shutdown");
}

#[tokio::test]
async fn a_worker_that_is_at_fault_again_and_again_puts_itself_into_quarantine() {
    let bench = Bench::new().await;
    for _ in 0..4 {
        bench.add(json!({"mock": []}));
    }
    let settings = |settings: &mut Settings| {
        settings.task_limit = Some(4);
        settings.quarantine = Some((3, Duration::from_secs(86400)));
    };
    bench.run_with(settings, Some(Trouble::At("build"))).await;
    let told = bench.queue.quarantined().expect("it has asked for it");
    assert!(told["quarantineInfo"].as_str().unwrap().contains("in 3 runs in a row"), "{told}");
    let quarantined = bench.position("PUT /api/queue/v1/provisioners/test/worker-types/worker/workers/group/worker");
    let claims = |line: &str| line.contains("claim-work");
    let before = bench.queue.received()[..quarantined].iter().filter(|request| claims(&request.line)).count();
    assert_eq!(before, 3);
}

#[tokio::test]
async fn several_tasks_run_at_once() {
    let bench = Bench::new().await;
    let tasks = [(); 3].map(|()| bench.add(json!({"mock": [{"forever": "running"}]})));
    let see = async {
        for task_id in &tasks {
            bench.live(task_id).await;
        }
        bench.shutdown.now();
    };
    let settings = |settings: &mut Settings| {
        settings.task_limit = None;
        settings.capacity = 3;
    };
    tokio::join!(async { bench.run_with(settings, None).await }, see);
    for task_id in &tasks {
        assert_eq!(bench.queue.state(task_id), "exception worker-shutdown");
    }
}

/// A GET without a client library.
async fn get(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let url: url::Url = url.parse().unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {} HTTP/1.0\r\nhost: {}\r\n\r\n", url.path(), address.0);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_log_can_be_followed_while_the_task_runs() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"print": "hello\n"}, {"forever": "running\n"}]}));
    let view = async {
        bench.live(&task_id).await;
        let created = bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created;
        assert_eq!(created["storageType"], "reference");
        let url = created["url"].as_str().unwrap();
        // The answer ends only when the log does.
        let stop = async {
            let is_running = |event: &Event| matches!(event, Event::Log { chunk, .. } if chunk.ends_with(b"running\n"));
            while !bench.events.lock().unwrap().iter().any(is_running) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bench.queue.cancel(&task_id);
        };
        let (answer, wrong, ()) = tokio::join!(get(url), async { get(&format!("{url}x")).await }, stop);
        (answer, wrong)
    };
    let ((), (answer, wrong)) = tokio::join!(bench.run(), view);
    assert!(answer.contains("hello\nrunning\n") && answer.contains("cancelled"), "{answer}");
    assert!(wrong.starts_with("HTTP/1.0 404"), "{wrong}");
}

#[tokio::test]
async fn the_live_log_can_be_turned_off() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"mock": [], "features": {"liveLog": false}})).await;
    assert_eq!(state, "completed");
    assert_eq!(bench.queue.artifact_names(&task_id), [BACKING_LOG]);
}
