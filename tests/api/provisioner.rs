//! The provisioner over the network, with the real queue behind it and workers from a provider of the test.

use std::time::Duration;

use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider, Provisioner};
use taskcluster::time::{hours, minutes};
use taskcluster::{Error, ManualClock, TaskId, Timestamp};
use taskcluster_fake::PROVISIONER_ID;
use taskcluster_provisioner::provider::Providers;

use shelf::Shelf;

mod define;
mod numbers;
mod scopes;
mod shelf;
mod workers;

/// A scope that a provisioner has, and may give.
const SCOPE: &str = "secrets:get:worker-pool:one";

/// A deployment on a clock of the test, with workers from a shelf.
struct Setting {
    deployment: Deployment,
    shelf: Shelf,
    root: Tester,
}

impl Setting {
    async fn on(backend: Backend) -> Self {
        let shelf = Shelf::default();
        let options = Options::on(backend).with_clock(ManualClock::at(Timestamp::now()));
        let options = options.with_providers(Providers::new().with(shelf.clone()));
        let deployment = Deployment::start(options).await.unwrap();
        let root = deployment.root();
        Self { deployment, shelf, root }
    }

    fn api(&self) -> Provisioner {
        self.root.provisioner()
    }

    async fn define(&self, name: &str, definition: &CreateWorkerTypeRequest) {
        soon(self.api().create_worker_type(name, definition).into_future()).await.unwrap();
    }

    /// Has so many tasks wait for workers of that type.
    async fn tasks(&self, worker_type: &str, count: usize) {
        for _ in 0..count {
            let queue = format!("{PROVISIONER_ID}/{worker_type}").parse::<taskcluster::TaskQueueId>().unwrap();
            let mut definition = task(self.root.now()).with_task_queue_id(queue);
            definition.deadline = self.root.now() + hours(24);
            self.root.create(&definition).await;
        }
    }

    /// Somebody with these scopes and no others.
    fn with(&self, scopes: &[&str]) -> Tester {
        let credentials = self.root.queue().caller().credentials().unwrap();
        let (start, end) = (self.root.now() - minutes(5), self.root.now() + hours(1));
        self.deployment.with(credentials.temporary(scopes, start, end, None).unwrap())
    }

    /// Time passes, and the provisioner makes a pass.
    async fn advance(&self, by: Duration) {
        self.deployment.advance(by).await;
    }
}

/// One that differs from others in its maximum.
fn definition(max: u32) -> CreateWorkerTypeRequest {
    CreateWorkerTypeRequest::new("For tests.", "me@example.com", max, 0.0, LocalProcessProvider::new(["worker"]))
}

/// Status and code of a refusal.
fn refusal(error: &Error) -> (u16, String) {
    let api = error.api().unwrap_or_else(|| panic!("the service refuses it: {error}"));
    (api.status.as_u16(), api.code.to_string())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, status: u16, says: &str) {
    let error = answer.unwrap_err();
    assert_eq!(refusal(&error).0, status, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}
