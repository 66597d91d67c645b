//! The actions that everybody expects.

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use taskcluster_core::error::Report;
use taskcluster_core::ids::TaskId;

use super::{Action, ActionRequest};
use crate::graph::{Task, TaskGraph};
use crate::queue::{Queue, TaskDefinition, TaskDefinitionAndStatus, TaskDefinitionRequest, TaskState};

pub(super) fn actions() -> Vec<Action> {
    vec![
        Action::new("rerun", "Rerun", "Runs the same task once more.", rerun),
        Action::new("retrigger", "Retrigger", "Makes a new task like this one.", retrigger),
        Action::new(
            "create-interactive",
            "Create interactive task",
            "Makes a new task like this one that lets you look around in it.",
            create_interactive,
        ),
        Action::new("cancel-all", "Cancel all", "Cancels all tasks that are not over.", cancel_all).for_group(),
    ]
}

async fn rerun(request: ActionRequest, queue: Queue) -> Result<(), Report> {
    queue.rerun_task(&request.chosen()?).await?;
    Ok(())
}

async fn retrigger(request: ActionRequest, queue: Queue) -> Result<(), Report> {
    let chosen = request.chosen()?;
    let like = queue.task(&chosen).await?;
    again(&request, &queue, &chosen, like).await
}

async fn create_interactive(request: ActionRequest, queue: Queue) -> Result<(), Report> {
    let chosen = request.chosen()?;
    let mut like = queue.task(&chosen).await?;
    like.routes.clear();
    like.scopes.clear();
    like.payload.remove("artifacts");
    like.payload.remove("cache");
    if let Some(Value::Array(mounts)) = like.payload.get_mut("mounts") {
        mounts.retain(|mount| mount.get("cacheName").is_none());
    }
    let features = like.payload.entry("features").or_insert_with(|| json!({}));
    if let Value::Object(features) = features {
        features.insert("interactive".to_owned(), true.into());
    }
    again(&request, &queue, &chosen, like).await
}

/// Creates a task with this definition in the group. Its id follows from the action's task and the chosen one, and its
/// times from the action's task: an action that is tried again creates nothing more.
async fn again(request: &ActionRequest, queue: &Queue, chosen: &TaskId, like: TaskDefinition) -> Result<(), Report> {
    let own = queue.task(&request.own_task_id).await?;
    let (due, kept) = (like.deadline.since(like.created), like.expires.map(|expires| expires.since(like.created)));
    // The two types have the same fields; those that one may leave out the other has.
    let mut definition: TaskDefinitionRequest = serde_json::from_value(serde_json::to_value(like)?)?;
    definition.created = own.created;
    definition.deadline = own.created + due;
    definition.expires = kept.map(|kept| own.created + kept);
    let mut graph = TaskGraph::new(request.own_task_id).with_task_group_id(request.task_group_id);
    graph.add(Task::new(format!("{} of {chosen}", request.name), definition));
    graph.check()?.submit(queue).await?;
    Ok(())
}

async fn cancel_all(request: ActionRequest, queue: Queue) -> Result<(), Report> {
    let members: Vec<TaskDefinitionAndStatus> =
        queue.list_task_group(&request.task_group_id).stream().try_collect().await?;
    for member in members {
        let status = member.status;
        let is_open = matches!(status.state, TaskState::Unscheduled | TaskState::Pending | TaskState::Running);
        if !is_open || status.task_id == request.own_task_id {
            continue;
        }
        match queue.cancel_task(&status.task_id).await {
            // Past its deadline; it ends by itself.
            Err(error) if error.is_conflict() => {}
            answer => drop(answer?),
        }
    }
    Ok(())
}
