//! A whole task: creates one, waits until a worker has ended it, and reads its log and an artifact.
//!
//! In one terminal, from the repository:
//!
//! ```sh
//! cargo run --bin taskcluster -- up --serve local/native
//! ```
//!
//! In another one, paste the three `export` lines that it prints, then
//!
//! ```sh
//! cargo run -p taskcluster --features artifacts --example hello
//! ```

use std::time::Duration;

use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata, TaskState};
use taskcluster::time::{hours, minutes};
use taskcluster::{Report, TaskId, TaskQueueId, Taskcluster, Timestamp, object};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let tc = Taskcluster::from_env()?;
    print!("{}", hello(&tc).await?);
    Ok(())
}

/// Gives the log and the artifact.
pub(crate) async fn hello(tc: &Taskcluster) -> Result<String, Report> {
    let task_id = TaskId::new();
    tc.queue().create_task(&task_id, &task()).await?;
    eprintln!("created {task_id}; waiting for a worker of local/native");

    let queue = tc.queue();
    let mut end = std::pin::pin!(queue.wait_for(&task_id));
    let status = match tokio::time::timeout(Duration::from_secs(10), &mut end).await {
        Ok(status) => status?,
        Err(_) => {
            eprintln!("still waiting: is there a worker? `taskcluster up --serve local/native` has one");
            end.await?
        }
    };

    let log = tc.artifacts().download_latest(&task_id, "public/logs/live_backing.log").to_memory(1 << 20).await?;
    let log = String::from_utf8_lossy(&log);
    if status.state != TaskState::Completed {
        return Err(std::io::Error::other(format!("the task is {}:\n{log}", status.state)).into());
    }
    let greeting = tc.artifacts().download_latest(&task_id, "public/greeting.txt").to_memory(1 << 20).await?;
    Ok(format!("{log}\npublic/greeting.txt: {}", String::from_utf8_lossy(&greeting)))
}

/// The payload is what the native worker takes: see `examples/native-worker/README.md`.
fn task() -> TaskDefinitionRequest {
    let payload = object! {
        "command": [["sh", "-c", "echo hello, log; echo hello, artifact > greeting.txt"]],
        "maxRunTime": 60,
        "artifacts": [{"type": "file", "path": "greeting.txt", "name": "public/greeting.txt"}],
    };
    let metadata = TaskMetadata::new("hello", "Greets.", "you@example.com", "https://example.com/hello");
    let now = Timestamp::now();
    TaskDefinitionRequest::new(now, now + minutes(30), payload, metadata)
        .with_task_queue_id("local/native".parse::<TaskQueueId>().expect("two names"))
        .with_expires(now + hours(1))
}
