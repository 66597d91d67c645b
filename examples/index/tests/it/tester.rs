//! An index for one test, and a queue that says what the test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use service_kit::frame::Frame;
use service_kit::service::Service as _;
use service_kit::store::Database;
use taskcluster::events::{MemoryBus, Message};
use taskcluster::index::{Index, IndexedTask, InsertTaskRequest};
use taskcluster::queue::events::TaskCompleted;
use taskcluster::queue::{Queue, TaskDefinition};
use taskcluster_core::RetryPolicy;
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days};
use taskcluster_core::transport;
use taskcluster_index::{IndexService, Options};
use taskcluster_server::authenticator::Fixed;
use taskcluster_server::queue::QueueMock;
use taskcluster_server::{Failure, Reply, site};

pub(crate) const ROOT: &str = "http://tc.example";

/// Nothing in these tests takes this long, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// An await that must not take for ever.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future.into_future()).await.expect("it takes too long")
}

/// The definitions that the queue knows; nothing while it is away.
type Known = Arc<Mutex<Option<BTreeMap<TaskId, TaskDefinition>>>>;

pub(crate) struct Tester {
    pub(crate) clock: ManualClock,
    pub(crate) bus: MemoryBus,
    /// A client that may do everything.
    pub(crate) index: Index,
    pub(crate) service: IndexService,
    known: Known,
    caller: Caller,
}

/// How a service of a test is put together.
pub(crate) fn options(clock: &ManualClock, database: Database, queue: Queue) -> Options {
    let frame = Frame::new(ROOT, Arc::new(MemoryBus::new())).with_clock(clock.shared());
    let everything = Fixed::new("tester", ["*"]).with_anonymous(["queue:get-artifact:public/*"]);
    Options::new(frame, database, Arc::new(everything), queue)
}

impl Tester {
    pub(crate) async fn new() -> Self {
        Self::on(Database::Memory).await
    }

    pub(crate) async fn on(database: Database) -> Self {
        Self::with(database, |options| options).await
    }

    pub(crate) async fn with(database: Database, change: impl FnOnce(Options) -> Options) -> Self {
        let clock = ManualClock::at("2026-03-04T05:06:07.000Z".parse().unwrap());
        let known: Known = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let queue = queue(&clock, &known);
        let service = IndexService::open(change(options(&clock, database, queue))).await.unwrap();
        let caller = Caller::builder(ROOT)
            .credentials(Credentials::new("tester", "token"))
            .clock(clock.shared())
            .retry(RetryPolicy::never())
            .transport(transport::in_process(service.router()))
            .build()
            .unwrap();
        Self { clock, bus: MemoryBus::new(), index: Index::new(caller.clone()), service, known, caller }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A client that may do no more than this.
    pub(crate) fn anonymous(&self) -> Index {
        Index::new(self.caller.to_builder().credentials(None).build().unwrap())
    }

    /// Lets the queue answer, or not.
    pub(crate) fn queue_is_there(&self, yes: bool) {
        let mut known = self.known.lock().unwrap();
        match (yes, &*known) {
            (true, None) => *known = Some(BTreeMap::new()),
            (false, _) => *known = None,
            (true, Some(_)) => {}
        }
    }

    /// A task that the queue knows.
    pub(crate) fn task(&self, routes: &[&str], extra: &Value) -> TaskId {
        let task_id = TaskId::new();
        self.add(task_id, routes, extra);
        task_id
    }

    pub(crate) fn add(&self, task_id: TaskId, routes: &[&str], extra: &Value) {
        let now = self.now();
        let definition = json!({
            "taskQueueId": "p/w", "provisionerId": "p", "workerType": "w", "schedulerId": "-", "taskGroupId": task_id,
            "dependencies": [], "requires": "all-completed", "routes": routes, "priority": "low", "retries": 5,
            "created": now, "deadline": now + days(1), "expires": now + days(30), "scopes": [], "payload": {},
            "tags": {}, "extra": extra,
            "metadata": { "name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com" },
        });
        let definition = serde_json::from_value(definition).unwrap();
        self.known.lock().unwrap().as_mut().expect("the queue is there").insert(task_id, definition);
    }

    /// Tells the bus that a task is completed by now.
    pub(crate) async fn completed(&self, task_id: TaskId, routes: &[&str]) {
        let message = completed(task_id, self.now(), routes);
        self.service.tap(Arc::new(self.bus.clone())).publish(message).await.unwrap();
    }

    pub(crate) async fn find(&self, path: &str) -> Option<IndexedTask> {
        match soon(self.index.find_task(path)).await {
            Ok(found) => Some(found),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn insert(&self, path: &str, rank: f64) -> IndexedTask {
        let request = InsertTaskRequest::new(TaskId::new(), rank, serde_json::Map::new(), self.now() + days(10));
        soon(self.index.insert_task(path, &request)).await.unwrap()
    }
}

fn queue(clock: &ManualClock, known: &Known) -> Queue {
    let (mock, known) = (QueueMock::new(), Arc::clone(known));
    mock.on_task(move |_, task_id| match &*known.lock().unwrap() {
        Some(known) => match known.get(&task_id) {
            Some(definition) => Ok(Reply::new(definition.clone())),
            None => Err(Failure::not_found("There is no such task.")),
        },
        None => Err(Failure::internal("the queue is away, as the test wants")),
    });
    let frame = Frame::new(ROOT, Arc::new(MemoryBus::new())).with_clock(clock.shared());
    let everybody = Arc::new(Fixed::new("index", ["queue:get-task:*"]));
    let router = frame.serve(taskcluster_server::queue::router(Arc::new(mock)), everybody).unwrap();
    let caller = Caller::builder(ROOT)
        .credentials(Credentials::new("static/taskcluster/index", "token"))
        .clock(clock.shared())
        .retry(RetryPolicy::never())
        .transport(transport::in_process(site([router])));
    Queue::new(caller.build().unwrap())
}

/// The queue's message of a completed task.
pub(crate) fn completed(task_id: TaskId, when: Timestamp, routes: &[&str]) -> Message {
    let body = json!({
        "version": 1, "runId": 0, "workerGroup": "g", "workerId": "i",
        "status": {
            "taskId": task_id, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "-",
            "projectId": "none", "taskGroupId": task_id, "deadline": when + days(1), "expires": when + days(30),
            "retriesLeft": 5, "state": "completed", "priority": "low",
            "runs": [{
                "runId": 0, "state": "completed", "reasonCreated": "scheduled", "reasonResolved": "completed",
                "scheduled": when, "resolved": when,
            }],
        },
    });
    let cc = routes.iter().map(|route| format!("route.{route}"));
    let key = format!("primary.{task_id}.0.g.i.p.w.-.{task_id}._");
    Message::new(TaskCompleted::EXCHANGE.exchange, key, body.to_string()).with_cc(cc)
}
