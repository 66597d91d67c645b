//! `taskcluster graph`: tasks that were submitted as one.

use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use taskcluster::scheduler::{TaskGraphStatus, TaskGraphStatusResponse, operations};
use taskcluster::{Request, TaskId, Taskcluster, Timestamp};

use super::definition::{read, with_times};
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
            let submitted = submit(&tc, &file, id, &deadline).await?;
            output.tell(&submitted, |status| status.task_graph_id.to_string())
        }
        GraphCommand::List(args) => list(&tc, args, &mut output).await,
        GraphCommand::Status { graph } => tell_state(&mut output, &scheduler.status(&graph.to_string()).await?.status),
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

/// Submits the graph, and says how it stands.
async fn submit(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskGraphStatus> {
    let graph = read(file).and_then(|text| whole(&text, deadline, Timestamp::now()));
    let graph = graph.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
    let id = id.unwrap_or_else(TaskId::new);
    // Untyped, so that whatever the definitions say stays in them.
    let submit = Request::<TaskGraphStatusResponse>::new(tc.caller(), &operations::CREATE_TASK_GRAPH, &[&id]);
    Ok(submit.with_body(&graph).await?.status)
}

/// The graph, with the times that its tasks do not say.
fn whole(text: &str, deadline: &str, now: Timestamp) -> Result<Map<String, Value>> {
    let mut graph: Map<String, Value> = serde_yaml_ng::from_str(text).context("it is no graph of tasks")?;
    let tasks = graph.get_mut("tasks").and_then(Value::as_array_mut).context("it has no list of `tasks`")?;
    for (place, node) in tasks.iter_mut().enumerate() {
        let task = node.get_mut("task").and_then(Value::as_object_mut);
        let task = task.with_context(|| format!("tasks[{place}] has no definition as its `task`"))?;
        *task = with_times(std::mem::take(task), deadline, now).with_context(|| format!("tasks[{place}]"))?;
    }
    Ok(graph)
}

async fn list(tc: &Taskcluster, args: GraphListArgs, output: &mut Output) -> Result<()> {
    let mut list = tc.scheduler().list_task_graphs();
    if let Some(route) = args.route {
        list = list.route(route);
    }
    if let Some(tag) = args.tag {
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
            output.tell(task, |task| format!("{} {} {}", task.task_id, task.name, task.state))?;
        }
        token = page.continuation_token;
        if token.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_filled_in_for_each_task() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let graph = whole("tasks: [{taskId: a, task: {payload: {}}}]", "2 hours", now).unwrap();
        assert_eq!(graph["tasks"][0]["task"]["deadline"], "2026-03-01T02:00:00.000Z");
        for (wrong, says) in [("[1]", "no graph"), ("metadata: {}", "`tasks`"), ("tasks: [{taskId: a}]", "tasks[0]")] {
            let error = whole(wrong, "1 day", now).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
