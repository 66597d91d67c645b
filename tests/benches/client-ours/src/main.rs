//! Signed calls by this repository's SDK: prints the allocations of CALLS calls, after one to warm up.

#[path = "../../shared/counting.rs"]
mod counting;

use counting::{TASK_ID, allocations, arguments, bare, task};
use taskcluster::queue::TaskDefinitionRequest;
use taskcluster::{Credentials, TaskId, Taskcluster};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else has chosen one");
    let (mode, root_url, calls) = arguments();
    let spent = if mode == "bare" { bare(&root_url, calls).await } else { signed(&root_url, calls).await };
    println!("{spent}");
}

async fn signed(root_url: &str, calls: u64) -> u64 {
    let credentials = Credentials::new("bench/client", "no-secret-no-secret-no-secret-no-secret-1234");
    let tc = Taskcluster::builder(root_url).credentials(credentials).build().expect("a client");
    let (queue, id) = (tc.queue(), TASK_ID.parse::<TaskId>().expect("a task id"));
    let task: TaskDefinitionRequest = serde_json::from_value(task()).expect("a task");
    queue.create_task(&id, &task).await.expect("an answer");
    let before = allocations();
    for _ in 0..calls {
        queue.create_task(&id, &task).await.expect("an answer");
    }
    allocations() - before
}
