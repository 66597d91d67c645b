//! What the published crate costs.

#[path = "../../shared/counting.rs"]
mod counting;

use std::sync::Arc;

use counting::{Client, TASK_ID, measure, task};
use taskcluster::{ClientBuilder, Credentials, Queue};

/// Its clients cannot be cloned.
#[derive(Clone)]
struct Official {
    root_url: Arc<str>,
    queue: Arc<Queue>,
    task: Arc<serde_json::Value>,
}

fn queue(root_url: &str) -> Queue {
    let credentials = Credentials::new("bench/client", "no-secret-no-secret-no-secret-no-secret-1234");
    Queue::new(ClientBuilder::new(root_url).credentials(credentials)).expect("a client")
}

impl Client for Official {
    fn new(root_url: &str) -> Self {
        Self { root_url: root_url.into(), queue: Arc::new(queue(root_url)), task: Arc::new(task()) }
    }

    fn handle(&self) {
        std::hint::black_box(queue(&self.root_url));
    }

    async fn call(&self) {
        self.queue.createTask(TASK_ID, &self.task).await.expect("an answer");
    }
}

fn main() {
    measure::<Official>();
}
