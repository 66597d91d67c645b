//! A decision task in Rust: it knows only what every task knows, and makes two tasks of its own.

use anyhow::Context;
use taskcluster::graph::{Task, TaskGraph};
use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
use taskcluster::{TaskId, Taskcluster, object};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let tc = Taskcluster::from_env()?;
    let task_id: TaskId = std::env::var("TASK_ID").context("TASK_ID")?.parse()?;
    let own = tc.queue().task(&task_id).await?;
    let definition = |name: &str, script: &str| {
        let payload = object! {
            "command": [["/bin/sh", "-c", script]],
            "maxRunTime": 600,
            "artifacts": [{ "type": "file", "name": "public/result.txt", "path": "result.txt" }],
        };
        let metadata = TaskMetadata::new(name, name, own.metadata.owner.clone(), own.metadata.source.clone());
        TaskDefinitionRequest::new(own.created, own.deadline, payload, metadata)
            .with_task_queue_id(own.task_queue_id.clone())
            .with_task_group_id(own.task_group_id)
            .with_scheduler_id(own.scheduler_id.clone())
    };

    let mut graph = TaskGraph::new(task_id);
    graph.add(Task::new("build", definition("build", "echo built > result.txt")));
    graph.add(Task::new("test", definition("test", "echo tested > result.txt")).with_needs(["build"]));
    let made = graph.check()?.submit(&tc.queue()).await?;
    println!("made {} tasks", made.len());
    Ok(())
}
