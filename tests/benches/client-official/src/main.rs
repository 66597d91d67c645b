//! Signed calls by the published crate: prints the allocations of CALLS calls, after one to warm up.

#[path = "../../shared/counting.rs"]
mod counting;

use counting::{TASK_ID, allocations, arguments, bare, task};
use taskcluster::{ClientBuilder, Credentials, Queue};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (mode, root_url, calls) = arguments();
    let spent = if mode == "bare" { bare(&root_url, calls).await } else { signed(&root_url, calls).await };
    println!("{spent}");
}

async fn signed(root_url: &str, calls: u64) -> u64 {
    let credentials = Credentials::new("bench/client", "no-secret-no-secret-no-secret-no-secret-1234");
    let queue = Queue::new(ClientBuilder::new(root_url).credentials(credentials)).expect("a client");
    let task = task();
    queue.createTask(TASK_ID, &task).await.expect("an answer");
    let before = allocations();
    for _ in 0..calls {
        queue.createTask(TASK_ID, &task).await.expect("an answer");
    }
    allocations() - before
}
