//! `taskcluster graph`: tasks that were submitted as one.

mod said;

use std::path::Path;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use serde_json::json;
use taskcluster::scheduler::{TaskGraphState, TaskGraphStatus, TaskGraphStatusResponse, TaskGraphTask, operations};
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};
use taskcluster_core::operation::Operation;

use self::said::Said;
use super::talk::{BadUse, deployment, talk};
use crate::args::{GraphCommand, GraphListArgs};
use crate::exit::Outcome;
use crate::output::Output;

/// Asks the scheduler about a graph, or to do something with it.
pub(crate) fn graph(command: GraphCommand, json: bool) -> Result<Outcome> {
    let tc = deployment()?;
    talk(carry_out(tc, command, Output::telling(json)))
}

async fn carry_out(tc: Taskcluster, command: GraphCommand, mut output: Output) -> Result<()> {
    let scheduler = tc.scheduler();
    match command {
        GraphCommand::Submit { file, id, deadline } => {
            let id = id.unwrap_or_else(TaskId::new);
            let submitted = send(&tc, &operations::CREATE_TASK_GRAPH, id, &file, &deadline).await?;
            output.tell(&submitted, |status| status.task_graph_id.to_string())
        }
        GraphCommand::Extend { graph, file, deadline } => {
            let extended = send(&tc, &operations::EXTEND_TASK_GRAPH, graph, &file, &deadline).await?;
            tell_state(&mut output, &extended)
        }
        GraphCommand::List(args) => list(&tc, args, &mut output).await,
        GraphCommand::Status { graph } => {
            let status = scheduler.status(&graph.to_string()).await?.status;
            tell_state(&mut output, &status)?;
            if status.state == TaskGraphState::Blocked {
                eprintln!(
                    "note: what blocks it: taskcluster graph tasks {graph}; run it again: taskcluster graph rerun {graph}"
                );
            }
            Ok(())
        }
        GraphCommand::Tasks { graph } => tasks(&tc, graph, &mut output).await,
        GraphCommand::Cancel { graph } => {
            tell_state(&mut output, &scheduler.cancel_task_graph(&graph.to_string()).await?.status)
        }
        GraphCommand::Rerun { graph, task } => {
            let graph = graph.to_string();
            let again = match task {
                Some(task) => scheduler.rerun_task(&graph, &task).await?,
                None => scheduler.rerun_task_graph(&graph).await?,
            };
            output.tell(&again, |again| again.task_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
        GraphCommand::Draw { graph, graphviz } => {
            let graph = graph.to_string();
            let drawn = if graphviz { scheduler.graphviz(&graph).await? } else { scheduler.mermaid(&graph).await? };
            let drawn = String::from_utf8_lossy(&drawn).trim_end().to_owned();
            let language = if graphviz { "graphviz" } else { "mermaid" };
            output.tell(&json!({ language: drawn }), |_| drawn.clone())
        }
    }
}

fn tell_state(output: &mut Output, status: &TaskGraphStatus) -> Result<()> {
    output.tell(status, |status| status.state.to_string())
}

/// Sends what a file says, and says how the graph stands.
async fn send(
    tc: &Taskcluster,
    operation: &'static Operation,
    id: TaskId,
    file: &Path,
    deadline: &str,
) -> Result<TaskGraphStatus> {
    let said = Said::read(file)?;
    // Untyped, so that whatever the definitions say stays in them.
    let send = async |graph| {
        let send = Request::<TaskGraphStatusResponse>::new(tc.caller(), operation, &[&id]);
        send.with_body(&graph).await.map(|answer| answer.status)
    };
    match send(said.at(deadline, Timestamp::now())?).await {
        // Perhaps it has been sent from this file before, at another time.
        Err(error) if error.is_conflict() => said.answered(send(said.as_there(tc).await?).await),
        answer => said.answered(answer),
    }
}

async fn list(tc: &Taskcluster, args: GraphListArgs, output: &mut Output) -> Result<()> {
    let mut list = tc.scheduler().list_task_graphs();
    if let Some(route) = args.route {
        list = list.route(route);
    }
    if let Some(tag) = args.tag {
        if !tag.contains('=') {
            return Err(BadUse(format!("--tag {tag}: a tag is looked for as NAME=VALUE")).into());
        }
        list = list.tag(tag);
    }
    if let Some(state) = args.state {
        list = list.state(state);
    }
    let mut graphs = list.stream();
    while let Some(graph) = graphs.try_next().await? {
        output.tell(&graph, |graph| {
            format!("{} {} {}", graph.status.task_graph_id, graph.status.state, graph.metadata.name)
        })?;
    }
    Ok(())
}

async fn tasks(tc: &Taskcluster, graph: TaskId, output: &mut Output) -> Result<()> {
    let graph = graph.to_string();
    let mut token: Option<String> = None;
    loop {
        let page = tc.scheduler().inspect(&graph);
        let page = match &token {
            Some(token) => page.continuation_token(token).await?,
            None => page.await?,
        };
        for task in &page.tasks {
            output.tell(task, line_of)?;
        }
        token = page.continuation_token;
        if token.is_none() {
            return Ok(());
        }
    }
}

/// Its id, name and state; and how many tasks it still waits for.
fn line_of(task: &TaskGraphTask) -> String {
    let waits = match task.requires_left.len() {
        0 => String::new(),
        1 => " waits for 1 task".to_owned(),
        count => format!(" waits for {count} tasks"),
    };
    format!("{} {} {}{waits}", task.task_id, task.name, task.state)
}
