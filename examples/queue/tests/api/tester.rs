//! A queue for one test, and verbs for what tests do with it.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use service_kit::blobs::{Buckets, LocalBlobs};
use service_kit::frame::Frame;
use service_kit::service::Service as _;
use service_kit::store::Database;
use service_kit::sweep::Sweep as _;
use taskcluster::events::{Binding, Bus as _, MemoryBus};
use taskcluster::object::Object;
use taskcluster::queue::{
    ClaimWorkRequest, Queue, TaskClaim, TaskCredentials, TaskDefinitionRequest, TaskMetadata, TaskStatus,
    TaskStatusResponse,
};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::hawk::{self, Presented, RequestFacts};
use taskcluster_core::ids::{TaskId, TaskQueueId};
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_core::{Error, RetryPolicy, transport};
use taskcluster_object::ObjectService;
use taskcluster_queue::loops::{ClaimResolver, DeadlineResolver, Expiry};
use taskcluster_queue::{Options, QueueService};
use taskcluster_server::{AuthOutcome, AuthRequest, Authenticator};
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) const ROOT: &str = "http://tc.example";

/// Nothing in these tests takes this long, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// Believes every name, and gives it the scopes that the request itself is restricted to, or all.
#[derive(Debug)]
struct Believer;

#[async_trait]
impl Authenticator for Believer {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        let expires = Timestamp::from_millis(4_000_000_000_000);
        match Presented::find(request.authorization.as_deref(), &request.resource) {
            Ok(Some(presented)) => {
                let of_certificate = presented.certificate.map(|certificate| certificate.scopes);
                let scopes = presented.authorized_scopes.or(of_certificate).unwrap_or_else(|| vec!["*".to_owned()]);
                AuthOutcome::Success { client_id: presented.id, scopes, expires, hash: presented.hash }
            }
            Ok(None) => AuthOutcome::None { scopes: vec!["queue:get-artifact:public/*".to_owned()], expires },
            Err(error) => AuthOutcome::Failed { message: error.to_string() },
        }
    }
}

pub(crate) struct Tester {
    pub(crate) clock: ManualClock,
    pub(crate) bus: Arc<MemoryBus>,
    /// A client that may do everything.
    pub(crate) queue: Queue,
    pub(crate) buckets: Buckets,
    pub(crate) shutdown: CancellationToken,
    service: QueueService,
    /// The object service, if there is one, for whoever may do everything.
    objects: Option<Caller>,
    caller: Caller,
    _folder: tempfile::TempDir,
}

/// An await that must not take for ever.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future.into_future()).await.expect("it takes too long")
}

impl Tester {
    pub(crate) async fn new() -> Self {
        Self::keeping(|blobs, _| Arc::new(blobs).into(), false).await
    }

    /// One in a deployment with an object service, which keeps data in the same place.
    pub(crate) async fn with_object_service() -> Self {
        Self::keeping(|blobs, _| Arc::new(blobs).into(), true).await
    }

    /// One that keeps what everybody may read apart, below `/open`.
    pub(crate) async fn with_public_bucket() -> Self {
        Self::keeping(|blobs, public| Buckets::new(Arc::new(blobs), Some(Arc::new(public))), false).await
    }

    async fn keeping(buckets: impl FnOnce(LocalBlobs, LocalBlobs) -> Buckets, has_objects: bool) -> Self {
        let clock = ManualClock::at("2026-03-04T05:06:07.000Z".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let base = Url::parse("http://tc.example/blobs").unwrap();
        let open = |name, base| LocalBlobs::open(&folder.path().join(name), base, b"secret", clock.shared()).unwrap();
        let blobs = open("blobs", base);
        let buckets = buckets(blobs.clone(), open("open", Url::parse("http://tc.example/open").unwrap()));
        let bus = Arc::new(MemoryBus::new());
        let credentials = Credentials::new("static/queue", "token");
        let shutdown = CancellationToken::new();
        let frame = Frame::new(ROOT, Arc::clone(&bus) as _).with_clock(clock.shared()).with_shutdown(shutdown.clone());
        let object =
            taskcluster_object::Options::new(frame.clone(), Database::Memory, buckets.clone(), Arc::new(Believer));
        let object = ObjectService::open(object).await.unwrap();
        let objects = Caller::builder(ROOT)
            .credentials(credentials.clone())
            .clock(clock.shared())
            .retry(RetryPolicy::never())
            .transport(transport::in_process(object.router()))
            .build()
            .unwrap();
        let objects = Some(objects).filter(|_| has_objects);
        let mut options = Options::new(frame, Database::Memory, buckets.clone(), Arc::new(Believer), credentials);
        options.objects = objects.clone();
        let service = QueueService::open(options).await.unwrap();
        let router = service.router().merge(blobs.router());
        let caller = Caller::builder(ROOT)
            .credentials(Credentials::new("tester", "token"))
            .clock(clock.shared())
            .retry(RetryPolicy::never())
            .transport(transport::in_process(router))
            .build()
            .unwrap();
        let queue = Queue::new(caller.clone());
        Self { clock, bus, queue, buckets, shutdown, service, objects, caller, _folder: folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn service(&self) -> &QueueService {
        &self.service
    }

    /// Sends a request as it is; status and body.
    pub(crate) async fn send(&self, request: http::Request<transport::Body>) -> (u16, String) {
        let answer = soon(self.caller.transport().send(request)).await.unwrap();
        let status = answer.status().as_u16();
        let body = soon(answer.into_body().collect(1_000_000)).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// POSTs a JSON text with a signature; status and body.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.signed(http::Method::POST, path, body).await
    }

    /// The same with another method.
    pub(crate) async fn signed(&self, method: http::Method, path: &str, body: &str) -> (u16, String) {
        let facts = RequestFacts { method: method.as_str(), resource: path, host: "tc.example", port: 80 };
        let header = hawk::sign(&Credentials::new("tester", "token"), facts, None, self.now()).unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{ROOT}{path}"))
            .header("authorization", header)
            .header("content-type", "application/json");
        self.send(request.body(body.to_owned().into()).unwrap()).await
    }

    /// A client that may do no more than this.
    pub(crate) fn with_scopes<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> Queue {
        Queue::new(self.caller.to_builder().authorized_scopes(scopes).build().unwrap())
    }

    /// A client without credentials.
    pub(crate) fn anonymous(&self) -> Queue {
        Queue::new(self.caller.to_builder().credentials(None).build().unwrap())
    }

    /// A client with the credentials of a claim.
    pub(crate) fn as_task(&self, claim: &TaskClaim) -> Queue {
        let credentials = Credentials::try_from(&claim.credentials).unwrap();
        Queue::new(self.caller.to_builder().credentials(credentials).build().unwrap())
    }

    /// The object service, for somebody who may do everything.
    pub(crate) fn objects(&self) -> Object {
        Object::new(self.objects.clone().expect("there is an object service"))
    }

    /// The object service, for whoever the queue has given these credentials.
    pub(crate) fn objects_as(&self, issued: &TaskCredentials) -> Object {
        let credentials = Credentials::try_from(issued).unwrap();
        Object::new(self.objects().caller().to_builder().credentials(credentials).build().unwrap())
    }

    pub(crate) fn define(&self) -> TaskDefinitionRequest {
        let payload = object(&json!({"command": ["true"]}));
        let metadata = TaskMetadata::new("name", "description", "owner@example.com", "https://example.com/source");
        let mut task = TaskDefinitionRequest::new(self.now(), self.now() + hours(3), payload, metadata);
        task.task_queue_id = Some("proj/ci".parse::<TaskQueueId>().unwrap());
        task
    }

    pub(crate) async fn create(&self) -> TaskId {
        self.create_with(|_| {}).await
    }

    pub(crate) async fn create_with(&self, change: impl FnOnce(&mut TaskDefinitionRequest)) -> TaskId {
        let id = TaskId::new();
        self.try_create(&id, change).await.unwrap();
        id
    }

    pub(crate) async fn try_create(
        &self,
        id: &TaskId,
        change: impl FnOnce(&mut TaskDefinitionRequest),
    ) -> Result<TaskStatusResponse, Error> {
        let mut task = self.define();
        change(&mut task);
        soon(self.queue.create_task(id, &task)).await
    }

    pub(crate) async fn claim(&self) -> TaskClaim {
        let mut tasks = self.claim_many(1).await;
        assert_eq!(tasks.len(), 1);
        tasks.remove(0)
    }

    pub(crate) async fn claim_many(&self, count: u32) -> Vec<TaskClaim> {
        soon(self.queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "one", count))).await.unwrap().tasks
    }

    /// Creates and claims.
    pub(crate) async fn running(&self) -> TaskId {
        let id = self.create().await;
        assert_eq!(self.claim().await.status.task_id, id);
        id
    }

    pub(crate) async fn status(&self, id: &TaskId) -> TaskStatus {
        soon(self.queue.status(id)).await.unwrap().status
    }

    pub(crate) async fn state(&self, id: &TaskId) -> String {
        self.status(id).await.state.to_string()
    }

    pub(crate) async fn expire_claims(&self) {
        ClaimResolver { store: self.service.store().clone(), clock: self.clock.shared() }.step().await.unwrap();
    }

    pub(crate) async fn resolve_deadlines(&self) {
        let delay = Duration::from_secs(60);
        DeadlineResolver { store: self.service.store().clone(), clock: self.clock.shared(), delay }
            .step()
            .await
            .unwrap();
    }

    pub(crate) async fn expire(&self) {
        Expiry::new(self.service.store().clone(), self.buckets.clone(), self.clock.shared()).step().await.unwrap();
    }

    /// Publishes what is in the outbox and gives the names of the exchanges and the bodies.
    pub(crate) async fn events(&self) -> Vec<(String, Value)> {
        const NAMES: [&str; 11] = [
            "task-defined",
            "task-pending",
            "task-running",
            "artifact-created",
            "task-completed",
            "task-failed",
            "task-exception",
            "task-group-resolved",
            "task-group-sealed",
            "task-priority-changed",
            "task-group-priority-changed",
        ];
        use service_kit::outbox::Outbox as _;
        let exchange = |name: &str| format!("exchange/taskcluster-queue/v1/{name}");
        let bindings = NAMES.iter().map(|name| Binding::everything(exchange(name))).collect();
        let mut subscription = self.bus.subscribe(bindings).await.unwrap();
        let count = self.service.store().publish(&*self.bus, 1000).await.unwrap();
        let mut events = Vec::new();
        for _ in 0..count {
            let message = soon(subscription.next()).await.unwrap().unwrap();
            let name = message.exchange.rsplit('/').next().unwrap().to_owned();
            events.push((name, serde_json::from_slice(&message.payload).unwrap()));
        }
        events
    }

    pub(crate) async fn event_names(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(name, _)| name).collect()
    }
}

pub(crate) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Status and code of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    let error = result.expect_err("it is refused");
    let code = error.code().map(|code| code.as_str().to_owned()).unwrap_or_default();
    (error.status().map_or(0, |status| status.as_u16()), code)
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
