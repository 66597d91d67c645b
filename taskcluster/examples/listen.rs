//! A listener: names the tasks that fail, in the moment when they do, those of a group or all.
//!
//! ```sh
//! cargo run -p taskcluster --features event_stream,events --example listen -- [TASK_GROUP_ID]
//! ```
//!
//! It needs the scope `events:listen:exchange/taskcluster-queue/v1/task-failed`, which on `taskcluster up` everybody has.

use taskcluster::events::Listen;
use taskcluster::queue::events::task_failed;
use taskcluster::{Report, TaskId, TaskclusterBuilder, chain};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Report> {
    let group: Option<TaskId> = std::env::args().nth(1).map(|group| group.parse()).transpose()?;
    // Over HTTP, so that no access to the message broker is needed. `.events(bus)` takes any other bus.
    let tc = TaskclusterBuilder::from_env()?.events_over_http().build()?;
    let bus = tc.events().ok_or_else(|| std::io::Error::other("this handle hears nothing"))?;

    let pattern = group.iter().fold(task_failed(), |pattern, group| pattern.task_group_id(group));
    let mut failed = pattern.listen(&*bus).await?;
    while let Some(event) = failed.next().await {
        match event {
            Ok(event) => println!("{} failed in run {}", event.message.status.task_id, event.message.run_id),
            // Something was missed, or cannot be read. Who must know of everything looks at the state itself.
            Err(error) => eprintln!("{}", chain(&error)),
        }
    }
    Ok(())
}
