//! A provisioner with a real queue, clouds that do what a test wants, workers, and a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use service_kit::blobs::LocalBlobs;
use service_kit::frame::Frame;
use service_kit::seal::Sealer;
use service_kit::service::Service as _;
use service_kit::store::Database;
use service_kit::testing::{Fresh, Kind};
use taskcluster::events::MemoryBus;
use taskcluster::provisioner::{
    CreateWorkerTypeRequest, DockerProvider, LocalProcessProvider, Provisioner, WorkerTypeProvider,
};
use taskcluster::queue::{ClaimWorkRequest, Queue, TaskDefinitionRequest, TaskMetadata};
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days};
use taskcluster_core::{Caller, RetryPolicy, object, transport};
use taskcluster_provisioner::instance::{Instance, State};
use taskcluster_provisioner::provider::{Phase, Providers};
use taskcluster_provisioner::{Options, ProvisionerService};
use taskcluster_queue::{QueueService, Settings};
use taskcluster_server::authenticator::Fixed;
use url::Url;

use crate::cloud::{Cloud, Machine};

const ROOT: &str = "http://tc.example";

/// Nothing in these tests takes this long, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// Between passes, and a little more.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);

/// An await that must not take for ever.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future.into_future()).await.expect("it takes too long")
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    /// The provider `local-process`.
    pub(crate) cloud: Cloud,
    /// The provider `docker`.
    pub(crate) other: Cloud,
    pub(crate) queue: Queue,
    pub(crate) service: ProvisionerService,
    database: Fresh,
    queue_service: QueueService,
    queue_caller: Caller,
    /// What workers do, by machine.
    working: BTreeMap<String, (TaskId, taskcluster_core::ids::RunId)>,
    begun: BTreeSet<String>,
    _folder: tempfile::TempDir,
}

/// A definition for the cloud.
pub(crate) fn definition(max: u32) -> CreateWorkerTypeRequest {
    of_provider(max, LocalProcessProvider::new(["worker"]))
}

/// A definition for the other cloud.
pub(crate) fn of_other(max: u32) -> CreateWorkerTypeRequest {
    of_provider(max, DockerProvider::new("worker"))
}

pub(crate) fn of_provider(max: u32, provider: impl Into<WorkerTypeProvider>) -> CreateWorkerTypeRequest {
    CreateWorkerTypeRequest::new("", "me@example.com", max, 0.0, provider)
}

/// How a test calls a service in its process.
fn caller(clock: &ManualClock, router: impl Into<Option<transport::Transport>>) -> Caller {
    let builder = Caller::builder(ROOT).credentials(Credentials::new("tester", "token")).clock(clock.shared());
    let builder = builder.retry(RetryPolicy::never());
    match router.into() {
        Some(transport) => builder.transport(transport),
        // Nobody is there.
        None => builder.transport(transport::in_process(taskcluster_server::site([]))),
    }
    .build()
    .unwrap()
}

fn frame(clock: &ManualClock) -> Frame {
    Frame::new(ROOT, Arc::new(MemoryBus::new())).with_clock(clock.shared())
}

impl World {
    /// On a file, which outlives the service.
    pub(crate) async fn new() -> Self {
        Self::on(Kind::File).await.expect("there are files")
    }

    pub(crate) async fn on(kind: Kind) -> Option<Self> {
        let database = kind.fresh("provisioner").await?;
        let clock = ManualClock::at("2026-03-04T05:06:00.000Z".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let base = Url::parse("http://tc.example/blobs").unwrap();
        let blobs = LocalBlobs::open(&folder.path().join("blobs"), base, b"secret", clock.shared()).unwrap();
        let options = taskcluster_queue::Options::new(
            frame(&clock),
            Database::Memory,
            Arc::new(blobs),
            Arc::new(Fixed::new("tester", ["*"])),
            Credentials::new("tester", "token"),
        );
        let options = options.with_settings(Settings { claim_wait: Duration::ZERO, ..Settings::default() });
        let queue_service = QueueService::open(options).await.unwrap();
        let queue_caller = caller(&clock, transport::in_process(queue_service.router()));
        let cloud = Cloud::new("local-process", clock.shared());
        let other = Cloud::new("docker", clock.shared());
        let service = open(&clock, &database, &queue_caller, [&cloud, &other]).await;
        Some(Self {
            queue: Queue::new(queue_caller.clone()),
            clock,
            cloud,
            other,
            service,
            database,
            queue_service,
            queue_caller,
            working: BTreeMap::new(),
            begun: BTreeSet::new(),
            _folder: folder,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self) -> ProvisionerService {
        open(&self.clock, &self.database, &self.queue_caller, [&self.cloud, &self.other]).await
    }

    /// The process is gone, and another begins. It may lead at once only when the first is known to say nothing.
    pub(crate) async fn restart(&mut self) {
        self.service.store().close().await;
        self.service = self.another().await;
    }

    /// The same, and it cannot reach the queue.
    pub(crate) async fn restart_without_queue(&mut self) {
        self.service.store().close().await;
        let nobody = caller(&self.clock, None);
        self.service = open(&self.clock, &self.database, &nobody, [&self.cloud, &self.other]).await;
    }

    pub(crate) fn api(&self) -> Provisioner {
        Provisioner::new(caller(&self.clock, transport::in_process(self.service.router())))
    }

    pub(crate) async fn define(&self, name: &str, definition: &CreateWorkerTypeRequest) {
        soon(self.api().create_worker_type(name, definition)).await.unwrap();
    }

    /// Has so many tasks wait.
    pub(crate) async fn tasks(&self, worker_type: &str, count: usize) {
        for _ in 0..count {
            let metadata = TaskMetadata::new("task", "", "me@example.com", "https://example.com");
            let task = TaskDefinitionRequest::new(self.now(), self.now() + days(1), object! {}, metadata)
                .with_task_queue_id(
                    format!("prov/{worker_type}").parse::<taskcluster_core::ids::TaskQueueId>().unwrap(),
                );
            soon(self.queue.create_task(&TaskId::new(), &task)).await.unwrap();
        }
    }

    /// One pass, now.
    pub(crate) async fn pass(&self) {
        soon(self.service.catch_up()).await.unwrap();
    }

    /// Time passes.
    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.queue_service.catch_up().await.unwrap();
    }

    /// So many passes, each in its time.
    pub(crate) async fn passes(&self, count: usize) {
        for _ in 0..count {
            self.advance(PERIOD).await;
            self.pass().await;
        }
    }

    pub(crate) async fn live(&self) -> Vec<Instance> {
        self.service.store().live().await.unwrap()
    }

    /// How many are in which state.
    pub(crate) async fn states(&self) -> BTreeMap<State, usize> {
        let mut states = BTreeMap::new();
        for instance in self.live().await {
            *states.entry(instance.state).or_insert(0) += 1;
        }
        states
    }

    pub(crate) async fn why(&self, worker_type: &str) -> String {
        soon(self.api().explain(worker_type)).await.unwrap().lines.join("\n")
    }

    /// The worker of a machine begins, if it has not: it fetches what is its own, and says that it is there.
    pub(crate) async fn begin(&mut self, id: &str) {
        let Some(machine) = self.machine(id) else { return };
        if !self.begun.insert(id.to_owned()) {
            return;
        }
        let token = machine.told["securityToken"].as_str().unwrap();
        if soon(self.api().get_secret(token)).await.is_ok() {
            soon(self.api().instance_started(id, token)).await.unwrap();
            soon(self.api().remove_secret(token)).await.unwrap();
        }
    }

    fn machine(&self, id: &str) -> Option<Machine> {
        let find = |cloud: &Cloud| cloud.sky().machines.get(id).filter(|m| m.phase == Phase::Alive).cloned();
        find(&self.cloud).or_else(|| find(&self.other))
    }

    /// The worker of a machine asks for a task. Whether it got one.
    pub(crate) async fn claim(&mut self, id: &str) -> bool {
        let Some(machine) = self.machine(id) else { return false };
        let request = ClaimWorkRequest::new("sky", id, 1);
        let queue = format!("prov/{}", machine.worker_type);
        let mut claims = soon(self.queue.claim_work(&queue, &request)).await.unwrap().tasks;
        let Some(claim) = claims.pop() else { return false };
        self.working.insert(id.to_owned(), (claim.status.task_id, claim.run_id));
        true
    }

    /// It completes what it has.
    pub(crate) async fn complete(&mut self, id: &str) {
        if let Some((task_id, run_id)) = self.working.remove(id) {
            // The claim may have run out.
            let _ = soon(self.queue.report_completed(&task_id, run_id)).await;
        }
    }

    /// It has nothing to do and asks whether it is needed; if not, it ends. Whether it did.
    pub(crate) async fn is_idle(&mut self, id: &str) -> bool {
        let Some(machine) = self.machine(id) else { return false };
        let ends = match soon(self.api().should_terminate(&machine.worker_type, id).idle(true)).await {
            Ok(answer) => answer.terminate,
            Err(error) => error.is_not_found(),
        };
        if ends {
            self.breaks(id);
        }
        ends
    }

    /// The machine is gone.
    pub(crate) fn breaks(&self, id: &str) {
        for cloud in [&self.cloud, &self.other] {
            cloud.sky().machines.remove(id);
        }
    }

    /// What it works on.
    pub(crate) fn task_of(&self, id: &str) -> (TaskId, taskcluster_core::ids::RunId) {
        self.working[id]
    }

    pub(crate) fn is_working(&self, id: &str) -> bool {
        self.working.contains_key(id)
    }

    /// What all workers do in a moment: begin, complete what they have, ask for more, go if there is none and they are not needed.
    pub(crate) async fn work(&mut self) {
        let all: Vec<String> = [self.cloud.alive(), self.other.alive()].concat();
        for id in all {
            self.begin(&id).await;
            self.complete(&id).await;
            if !self.claim(&id).await {
                self.is_idle(&id).await;
            }
        }
    }

    /// Until nothing waits, nothing is being done and nothing runs, or for so many passes.
    pub(crate) async fn until_quiet(&mut self, passes: usize) {
        for _ in 0..passes {
            self.passes(1).await;
            self.work().await;
            if self.live().await.is_empty() && self.cloud.sky().machines.is_empty() {
                return;
            }
        }
        panic!("it does not come to rest: {:?}, {:?}", self.live().await, self.cloud.sky());
    }
}

async fn open(clock: &ManualClock, database: &Fresh, queue: &Caller, clouds: [&Cloud; 2]) -> ProvisionerService {
    let [one, two] = clouds.map(Cloud::clone);
    let credentials = Credentials::new("tester", "token-of-the-provisioner");
    let everybody = Fixed::new("tester", ["*"]).with_anonymous(["*"]);
    let options =
        Options::new(frame(clock), database.database.clone(), Arc::new(everybody), queue.clone(), credentials, "prov");
    let options = options.with_sealer(Sealer::new(&[7; 32]).unwrap());
    ProvisionerService::open(options.with_providers(Providers::new().with(one).with(two))).await.unwrap()
}
