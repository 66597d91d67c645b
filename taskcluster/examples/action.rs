//! Actions of a task group: shows what its decision task offers, or triggers one of them, as a user interface would.
//!
//! ```sh
//! alias action='cargo run -q -p taskcluster --features actions-trigger --example action --'
//! action GROUP                              # what is offered for the group and for its tasks
//! action GROUP cancel-all
//! action GROUP retrigger TASK
//! action GROUP backfill TASK '{"depth": 3}'
//! ```

use std::process::ExitCode;

use futures_util::TryStreamExt;
use serde_json::Value;
use taskcluster::graph::actions::Offer;
use taskcluster::queue::TaskState;
use taskcluster::{Report, TaskId, Taskcluster};

#[tokio::main]
async fn main() -> Result<ExitCode, Report> {
    let mut arguments = std::env::args().skip(1);
    let Some(group) = arguments.next() else {
        eprintln!("usage: action GROUP [NAME [TASK] [INPUT]]");
        return Ok(ExitCode::from(2));
    };
    let tc = Taskcluster::from_env()?;
    let group: TaskId = group.parse()?;
    let offer = Offer::of_group(&tc, &group).await?;
    let Some(name) = arguments.next() else {
        for action in offer.actions(None) {
            println!("{:<20}{}", action.name, action.description);
        }
        let mut members = tc.queue().list_task_group(&group).stream();
        while let Some(member) = members.try_next().await? {
            for action in offer.actions(Some(&member.task)) {
                println!("{:<20}{} ({})", action.name, member.status.task_id, member.task.metadata.name);
            }
        }
        return Ok(ExitCode::SUCCESS);
    };
    let mut rest: Vec<String> = arguments.collect();
    let task_id = rest.first().and_then(|first| first.parse::<TaskId>().ok());
    if task_id.is_some() {
        rest.remove(0);
    }
    let input = rest.first().map_or(Ok(Value::Null), |input| serde_json::from_str(input))?;
    let Some(made) = offer.trigger(&tc, &name, task_id.as_ref(), input).await? else {
        println!("the hook made no task");
        return Ok(ExitCode::SUCCESS);
    };
    println!("{made} carries it out");
    let status = tc.queue().wait_for(&made).await?;
    let is_done = status.state == TaskState::Completed;
    println!("it is {}", if is_done { "done" } else { "not done: see its log" });
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
