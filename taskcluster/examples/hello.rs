//! Creates a task, sees that it waits, and cancels it: `cargo run -p taskcluster --example hello`.
//!
//! Needs the variables that `taskcluster up` prints.

use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
use taskcluster::time::{hours, minutes};
use taskcluster::{TaskId, Taskcluster, Timestamp, object};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), taskcluster::Report> {
    let tc = Taskcluster::from_env()?;
    let task_id = TaskId::new();
    let now = Timestamp::now();
    let metadata = TaskMetadata::new("Hello", "Greets.", "you@example.com", "https://example.com/hello");
    let task = TaskDefinitionRequest::new(now, now + minutes(30), object! { "command": ["echo", "hello"] }, metadata)
        .with_task_queue_id("examples/hello".parse::<taskcluster::TaskQueueId>()?)
        .with_expires(now + hours(1));

    let created = tc.queue().create_task(&task_id, &task).await?.status;
    println!("created {task_id}, which is {}", created.state);
    let waiting = tc.queue().task_queue_counts("examples/hello").await?.pending_tasks;
    println!("{waiting} tasks wait for a worker of examples/hello");
    let cancelled = tc.queue().cancel_task(&task_id).await?.status;
    println!("cancelled it: now it is {}", cancelled.state);
    Ok(())
}
