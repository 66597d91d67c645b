//! What this repository's SDK costs.

#[path = "../../shared/counting.rs"]
mod counting;

use counting::{Client, TASK_ID, measure, task};
use taskcluster::queue::TaskDefinitionRequest;
use taskcluster::{Credentials, TaskId, Taskcluster};

#[derive(Clone)]
struct Ours {
    tc: Taskcluster,
    id: TaskId,
    task: std::sync::Arc<TaskDefinitionRequest>,
}

impl Client for Ours {
    fn new(root_url: &str) -> Self {
        let credentials = Credentials::new("bench/client", "no-secret-no-secret-no-secret-no-secret-1234");
        Self {
            tc: Taskcluster::builder(root_url).credentials(credentials).build().expect("a client"),
            id: TASK_ID.parse().expect("a task id"),
            task: serde_json::from_value(task()).map(std::sync::Arc::new).expect("a task"),
        }
    }

    fn handle(&self) {
        std::hint::black_box(self.tc.queue());
    }

    async fn call(&self) {
        self.tc.queue().create_task(&self.id, &self.task).await.expect("an answer");
    }
}

fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else has chosen one");
    measure::<Ours>();
}
