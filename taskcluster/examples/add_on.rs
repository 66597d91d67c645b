//! An add-on service: something that a deployment does not do by itself, for tasks that ask for it.
//!
//! This one runs failed tasks again. A task says how often, in a property of its `extra` that the queue does not look at:
//!
//! ```yaml
//! extra: {rerun: {times: 2}}
//! ```
//!
//! The usual variables say where and as whom it runs: `TASKCLUSTER_ROOT_URL` and its like. It needs the scopes
//! `events:listen:exchange/taskcluster-queue/v1/task-failed`, `queue:get-task:*`, `queue:status:*` and `queue:rerun-task:*`.
//!
//! To make another of it, change the name, what a task may ask for, and `react`.

use serde::Deserialize;
use taskcluster::events::{BusError, listen};
use taskcluster::queue::TaskState;
use taskcluster::queue::events::TaskFailed;
use taskcluster::{Error, Report, TaskId, Taskcluster, TaskclusterBuilder, chain};

/// The property of `extra`.
const NAME: &str = "rerun";

/// What a task may ask for.
#[derive(Debug, Deserialize)]
struct Wish {
    /// How often it is run again at most.
    times: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Report> {
    // Over HTTP, so that no access to the message broker is needed. `.events(bus)` takes any other bus.
    let tc = TaskclusterBuilder::from_env()?.events_over_http().build()?;
    serve(&tc, || println!("listening")).await?;
    Ok(())
}

/// Reacts to what fails from now on, until the bus is closed.
pub async fn serve(tc: &Taskcluster, ready: impl FnOnce()) -> Result<(), BusError> {
    let bus = tc.events().ok_or(BusError::Closed)?;
    let mut failed = listen::<TaskFailed>(&*bus, TaskFailed::binding()).await?;
    ready();
    while let Some(event) = failed.next().await {
        let task_id = match event {
            Ok(event) => event.message.status.task_id,
            // What was missed stays failed: this is a convenience, and who wants more lists the group and looks.
            Err(error) => {
                eprintln!("{}", chain(&error));
                continue;
            }
        };
        match react(tc, &task_id).await {
            Ok(true) => println!("{task_id} is run again"),
            Ok(false) => {}
            Err(error) => eprintln!("{task_id}: {}", chain(&error)),
        }
    }
    Ok(())
}

/// An event may come twice, and late: so it is only a reason to look, and what is done may be done twice.
async fn react(tc: &Taskcluster, task_id: &TaskId) -> Result<bool, Error> {
    let extra = tc.queue().task(task_id).await?.extra;
    let Some(wish) = extra.get(NAME).and_then(|wish| Wish::deserialize(wish).ok()) else { return Ok(false) };
    let status = tc.queue().status(task_id).await?.status;
    if status.state != TaskState::Failed || status.runs.len() > wish.times {
        return Ok(false);
    }
    tc.queue().rerun_task(task_id).await?;
    Ok(true)
}
