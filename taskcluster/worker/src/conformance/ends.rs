//! What ends how: the table of the runtime, row by row, with the engine that is tested and the queue of tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;
use taskcluster_core::{Credentials, RetryPolicy};
use tokio::sync::watch;

use super::{Act, Subject, within};
use crate::context::TaskContext;
use crate::engine::{Engine, SandboxBuilder};
use crate::error::Result;
use crate::events::Event;
use crate::payload::{Payload, PayloadPart};
use crate::plugins::{Artifacts, BACKING_LOG, BackingLog, ExitStatus, LIVE_LOG, LiveLog, MaxRunTime};
use crate::testing::{FakeQueue, task_with_payload};
use crate::{Identity, Settings, Shutdown, Worker};

/// Bring a task of the engine to each end that a run can come to, and see what the queue is told of it: what cannot be run, what
/// fails, runs too long, is cancelled, loses its claim, cannot be uploaded, is given back. In a worker with the plugins that need
/// nothing of the engine but what it must be able to do.
///
/// # Panics
/// With the first end that is not as it should be.
pub async fn check_ends(subject: &dyn Subject) {
    let bench = Bench { subject, engine: subject.engine().into() };
    within("completed", bench.completed()).await;
    within("failed", bench.failed()).await;
    within("intermittent", bench.intermittent()).await;
    within("too long", bench.too_long()).await;
    within("malformed payloads", bench.malformed()).await;
    within("missing artifacts", bench.missing_artifacts()).await;
    within("failed uploads", bench.failed_uploads()).await;
    within("cancelled", bench.over(FakeQueue::cancel, "exception canceled", "cancelled")).await;
    within("deadline", bench.over(FakeQueue::pass_deadline, "exception deadline-exceeded", "past its deadline")).await;
    within("claim expired", bench.over(FakeQueue::expire_claim, "exception claim-expired", "claim lost")).await;
    for status in [409, 404] {
        within("refused reclaim", bench.refused_reclaim(status, Duration::from_secs(2))).await;
    }
    within("failing reclaims", bench.refused_reclaim(500, Duration::from_secs(5))).await;
    within("shutdown", bench.shutdown()).await;
    within("reclaims while it uploads", bench.reclaims_while_it_uploads()).await;
    within("uploads in parallel", bench.uploads_in_parallel()).await;
}

struct Bench<'a> {
    subject: &'a dyn Subject,
    engine: Arc<dyn Engine>,
}

/// A queue with one task, and a worker to be.
struct Stage {
    queue: FakeQueue,
    task_id: TaskId,
    dir: tempfile::TempDir,
    engine: Arc<dyn Engine>,
    shutdown: Shutdown,
    /// What the run has logged.
    log: watch::Sender<Vec<u8>>,
    cancel_poll: Duration,
}

impl Bench<'_> {
    /// A task that does these acts, and whose payload says this as well.
    async fn stage(&self, acts: &[Act], more: Value) -> Stage {
        let mut payload = self.subject.payload(acts);
        payload.insert("maxRunTime".to_owned(), json!(3600));
        let Value::Object(more) = more else { panic!("a payload is an object") };
        payload.extend(more);
        let queue = FakeQueue::start().await.expect("there is a port");
        let task_id = queue.add_task(task_with_payload(&payload));
        Stage {
            queue,
            task_id,
            dir: tempfile::tempdir().expect("a directory for the test"),
            engine: self.engine.clone(),
            shutdown: Shutdown::new(),
            log: watch::channel(Vec::new()).0,
            cancel_poll: Duration::from_millis(100),
        }
    }

    /// One whose code goes on until it is ended.
    async fn endless(&self) -> Stage {
        self.stage(&[Act::Forever("ready".into())], json!({})).await
    }

    /// One that makes so many artifacts, if code that the engine runs leaves anything.
    async fn making(&self, artifacts: usize, last: Act) -> Stage {
        let artifacts = if self.subject.keeps_files() { artifacts } else { 0 };
        let names: Vec<String> = (0..artifacts).map(|number| format!("out-{number}")).collect();
        let mut acts: Vec<Act> =
            names.iter().map(|name| Act::Write { path: name.clone(), text: "kept".into() }).collect();
        acts.push(last);
        let declared = names.iter().map(|name| json!({"type": "file", "path": name, "name": artifact(name)}));
        self.stage(&acts, json!({"artifacts": declared.collect::<Vec<_>>()})).await
    }

    fn assert_kept(&self, stage: &Stage) {
        if self.subject.keeps_files() {
            assert_eq!(stage.queue.text(&stage.task_id, &artifact("out-0")), "kept", "{}", stage.uploaded_log());
        }
    }

    async fn completed(&self) {
        let stage = self.making(1, Act::Print("done".into())).await;
        stage.run().await;
        stage.assert_ended("completed");
        self.assert_kept(&stage);
        let live = stage.queue.artifact(&stage.task_id, LIVE_LOG).expect("there is a live log").created;
        assert_eq!((&live["storageType"], &live["artifact"]), (&json!("link"), &json!(BACKING_LOG)));
    }

    async fn failed(&self) {
        let stage = self.making(1, Act::Exit(7)).await;
        stage.run().await;
        stage.assert_ended("failed");
        stage.assert_logged(&format!("exit code {}", self.subject.told(7)));
        self.assert_kept(&stage);
    }

    async fn intermittent(&self) {
        let listed = json!({"onExitStatus": {"retry": [self.subject.told(7)]}});
        let stage = self.stage(&[Act::Exit(7)], listed).await;
        stage.run().await;
        stage.assert_ended("exception intermittent-task");
    }

    async fn too_long(&self) {
        let artifact = json!({"type": "file", "path": "out-0", "name": artifact("out-0")});
        let keeps = self.subject.keeps_files();
        let acts = [Act::Write { path: "out-0".into(), text: "kept".into() }, Act::Forever("ready".into())];
        let acts = if keeps { &acts[..] } else { &acts[1..] };
        let artifacts = if keeps { vec![artifact] } else { Vec::new() };
        let stage = self.stage(acts, json!({"maxRunTime": 5, "artifacts": artifacts})).await;
        stage.run().await;
        stage.assert_ended("failed");
        stage.assert_logged("maxRunTime of 5 s");
        self.assert_kept(&stage);
    }

    async fn malformed(&self) {
        let file = |name: &str| json!({"type": "file", "path": "out", "name": name});
        let late = json!({"type": "file", "path": "out", "name": "public/late", "expires": "2999-01-01T00:00:00.000Z"});
        for (more, reason) in [
            (json!({"maxRunTime": "soon"}), "maxRunTime"),
            (json!({"noSuchProperty": 1}), "noSuchProperty"),
            (json!({"features": {"timeTravel": true}}), "timeTravel"),
            (json!({"artifacts": [file("public/a"), file("public/a")]}), "two artifacts have the name \"public/a\""),
            (json!({"artifacts": [late]}), "expires after the task"),
        ] {
            let stage = self.stage(&[Act::Print("RAN".into())], more).await;
            stage.run().await;
            stage.assert_ended("exception malformed-payload");
            stage.assert_logged(reason);
            assert!(!stage.queue.artifact_names(&stage.task_id).contains(&"public/a".to_owned()));
        }
    }

    async fn missing_artifacts(&self) {
        if !self.subject.keeps_files() {
            return;
        }
        for (optional, state) in [(false, "failed"), (true, "completed")] {
            let declared = json!({"type": "file", "path": "none", "name": "public/none", "optional": optional});
            let stage = self.stage(&[Act::Exit(0)], json!({"artifacts": [declared]})).await;
            stage.run().await;
            stage.assert_ended(state);
            let made = stage.queue.artifact(&stage.task_id, "public/none").expect("there is an artifact").created;
            assert_eq!((&made["storageType"], &made["reason"]), (&json!("error"), &json!("file-missing-on-worker")));
        }
    }

    async fn failed_uploads(&self) {
        let stage = self.making(1, Act::Print("done".into())).await;
        stage.queue.fail_uploads(true);
        stage.run().await;
        stage.assert_ended("exception internal-error");
    }

    /// A run that the queue says is over.
    async fn over(&self, end: impl FnOnce(&FakeQueue, &TaskId), state: &str, why: &str) {
        let stage = self.endless().await;
        let ending = async {
            stage.ready().await;
            end(&stage.queue, &stage.task_id);
        };
        tokio::join!(stage.run(), ending);
        stage.assert_ended(state);
        stage.assert_logged(&format!("the run is stopped: {why}\n"));
        stage.assert_nothing_reported();
        self.subject.end_what_goes_on().await;
    }

    async fn refused_reclaim(&self, status: u16, claim_for: Duration) {
        let mut stage = self.endless().await;
        stage.cancel_poll = Duration::from_secs(3600);
        stage.queue.claim_for(claim_for);
        let refusing = async {
            stage.ready().await;
            stage.queue.fail_reclaims(status);
        };
        tokio::join!(stage.run(), refusing);
        stage.assert_ended("running");
        stage.assert_logged("the run is stopped: ");
        stage.assert_nothing_reported();
        self.subject.end_what_goes_on().await;
    }

    async fn shutdown(&self) {
        let stage = self.endless().await;
        let going = async {
            stage.ready().await;
            stage.shutdown.now();
        };
        tokio::join!(stage.run(), going);
        stage.assert_ended("exception worker-shutdown");
        stage.assert_logged("=== Task Ends: worker-shutdown ===");
        self.subject.end_what_goes_on().await;
    }

    async fn reclaims_while_it_uploads(&self) {
        let stage = self.making(1, Act::Print("done".into())).await;
        stage.queue.claim_for(Duration::from_secs(2));
        stage.queue.hold_uploads(true);
        let letting_go = async {
            stage.queue.until(|queue| queue.held_uploads() > 0).await;
            let before = stage.reclaims();
            stage.queue.until(|_| stage.reclaims() > before).await;
            stage.queue.hold_uploads(false);
        };
        tokio::join!(stage.run(), letting_go);
        stage.assert_ended("completed");
        self.assert_kept(&stage);
    }

    async fn uploads_in_parallel(&self) {
        if !self.subject.keeps_files() {
            return;
        }
        let stage = self.making(3, Act::Print("done".into())).await;
        stage.queue.hold_uploads(true);
        let letting_go = async {
            stage.queue.until(|queue| queue.held_uploads() > 1).await;
            stage.queue.hold_uploads(false);
        };
        tokio::join!(stage.run(), letting_go);
        stage.assert_ended("completed");
        self.assert_kept(&stage);
    }
}

fn artifact(path: &str) -> String {
    format!("public/{path}")
}

impl Stage {
    async fn run(&self) {
        let mut settings = Settings::new(self.dir.path());
        settings.task_limit = Some(1);
        settings.backoff = Duration::from_millis(10);
        settings.cancel_poll = self.cancel_poll;
        let identity = Identity::new("test/worker".parse().expect("it is one"), "group", "worker");
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let live_log = LiveLog::at(address).await.expect("there is a port");
        let log = self.log.clone();
        let worker = Worker::builder(self.queue.root_url(), identity, Lent(self.engine.clone()), settings)
            .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
            .retry(RetryPolicy::default().with_retries(2).with_base(Duration::from_millis(10)))
            .events(Arc::new(move |event| {
                if let Event::Log { chunk, .. } = event {
                    log.send_modify(|log| log.extend_from_slice(&chunk));
                }
            }))
            .plugin(MaxRunTime::new(Duration::from_secs(7200)))
            .plugin(ExitStatus::default())
            .plugin(Artifacts::default())
            .plugin(BackingLog::default())
            .plugin(live_log)
            .build()
            .expect("the engine goes with the plugins of the runtime");
        let done = worker.run(self.shutdown.clone()).await.expect("the worker runs");
        assert_eq!(done.runs, 1);
    }

    /// Wait until the code of an [endless](Bench::endless) task runs. Its text may stand in the log before, as part of the command.
    async fn ready(&self) {
        let is_ready = |log: &Vec<u8>| {
            let log = String::from_utf8_lossy(log);
            log.lines().any(|line| line.ends_with("ready") && !line.starts_with('['))
        };
        self.log.subscribe().wait_for(is_ready).await.expect("the sender is ours");
    }

    fn reclaims(&self) -> usize {
        self.queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count()
    }

    fn uploaded_log(&self) -> String {
        self.queue.text(&self.task_id, BACKING_LOG)
    }

    fn assert_ended(&self, state: &str) {
        let log = String::from_utf8_lossy(&self.log.borrow()).into_owned();
        assert_eq!(self.queue.state(&self.task_id), state, "{log}");
    }

    fn assert_logged(&self, text: &str) {
        let log = self.uploaded_log();
        assert!(log.contains(text), "{text:?} is not in the log:\n{log}");
    }

    fn assert_nothing_reported(&self) {
        for report in ["/completed", "/failed", "/exception"] {
            assert!(!self.queue.received().iter().any(|request| request.line.ends_with(report)), "{report}");
        }
    }
}

/// One engine for several workers, one after the other.
#[derive(Debug)]
struct Lent(Arc<dyn Engine>);

#[async_trait]
impl Engine for Lent {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn payload(&self) -> PayloadPart {
        self.0.payload()
    }

    async fn set_up(&self) -> Result<()> {
        self.0.set_up().await
    }

    fn spare(&self) -> Option<usize> {
        self.0.spare()
    }

    fn store(&self) -> Option<&Path> {
        self.0.store()
    }

    async fn make_room(&self) -> Result<bool> {
        self.0.make_room().await
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        self.0.prepare(task, payload).await
    }
}
