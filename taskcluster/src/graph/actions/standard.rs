//! The actions that everybody expects.

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use taskcluster_core::error::Report;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, hours};

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
    like.retries = 0;
    like.deadline = like.created + hours(INTERACTIVE_HOURS);
    like.expires = Some(like.created + days(1));
    make_interactive(&mut like.payload);
    again(&request, &queue, &chosen, like).await
}

/// For so long somebody may look around, and a little longer wait for a worker.
const INTERACTIVE_HOURS: u64 = 12;

/// The least seconds that somebody has to look around, whatever is enough for the task itself.
const INTERACTIVE_RUN_TIME: u64 = 3 * 60 * 60;

/// A payload of a Docker worker or of one that runs commands itself, for somebody to look around in: it leaves nothing, in caches
/// or elsewhere, and wants nothing that takes scopes, of which the task has none.
fn make_interactive(payload: &mut Map<String, Value>) {
    for name in ["artifacts", "cache", "capabilities", "osGroups"] {
        payload.remove(name);
    }
    if let Some(Value::Array(mounts)) = payload.get_mut("mounts") {
        mounts.retain(|mount| mount.get("cacheName").is_none());
    }
    let run_time = payload.get("maxRunTime").and_then(Value::as_u64).unwrap_or_default();
    payload.insert("maxRunTime".to_owned(), run_time.max(INTERACTIVE_RUN_TIME).into());
    if let Value::Object(env) = payload.entry("env").or_insert_with(|| json!({})) {
        // Programs that would rather wait for somebody to start them look at it.
        env.insert("TASKCLUSTER_INTERACTIVE".to_owned(), "true".into());
    }
    if let Value::Object(features) = payload.entry("features").or_insert_with(|| json!({})) {
        features.remove("allowPtrace");
        features.insert("interactive".to_owned(), true.into());
    }
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
