//! `taskcluster graph`: tasks that were submitted as one.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taskcluster::scheduler::{TaskGraphState, TaskGraphStatus, TaskGraphStatusResponse, TaskGraphTask, operations};
use taskcluster::{Error, Request, TaskId, Taskcluster, Timestamp};
use taskcluster_core::operation::Operation;

use super::definition::{read, with_times, with_times_of};
use super::talk::{BadUse, deployment, talk};
use crate::args::{GraphCommand, GraphListArgs};
use crate::exit::{Outcome, one_line};
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
        GraphCommand::Extend { graph, file, deadline } => {
            tell_state(&mut output, &extend(&tc, graph, &file, &deadline).await?)
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

/// Submits the graph, and says how it stands.
async fn submit(tc: &Taskcluster, file: &Path, id: Option<TaskId>, deadline: &str) -> Result<TaskGraphStatus> {
    let said = Said::read(file)?;
    let whole = said.at(deadline, Timestamp::now()).map_err(|error| said.bad(&error))?;
    let Some(id) = id else { return said.answered(send(tc, CREATE, &TaskId::new(), &whole).await) };
    match send(tc, CREATE, &id, &whole).await {
        // Perhaps it has been submitted from this file before, at another time.
        Err(error) if error.is_conflict() => said.answered(send(tc, CREATE, &id, &said.as_there(tc).await?).await),
        submitted => said.answered(submitted),
    }
}

/// Adds tasks to a graph, and says how it stands.
async fn extend(tc: &Taskcluster, graph: TaskId, file: &Path, deadline: &str) -> Result<TaskGraphStatus> {
    let said = Said::read(file)?;
    let whole = said.at(deadline, Timestamp::now()).map_err(|error| said.bad(&error))?;
    match send(tc, EXTEND, &graph, &whole).await {
        Err(error) if error.is_conflict() => said.answered(send(tc, EXTEND, &graph, &said.as_there(tc).await?).await),
        extended => said.answered(extended),
    }
}

const CREATE: &Operation = &operations::CREATE_TASK_GRAPH;
const EXTEND: &Operation = &operations::EXTEND_TASK_GRAPH;

/// Untyped, so that whatever the definitions say stays in them.
async fn send(
    tc: &Taskcluster,
    operation: &'static Operation,
    id: &TaskId,
    graph: &Map<String, Value>,
) -> Result<TaskGraphStatus, Error> {
    let send = Request::<TaskGraphStatusResponse>::new(tc.caller(), operation, &[id]);
    Ok(send.with_body(graph).await?.status)
}

/// What a file says: a graph, or tasks for one.
struct Said<'a> {
    file: &'a Path,
    graph: Map<String, Value>,
}

impl<'a> Said<'a> {
    fn read(file: &'a Path) -> Result<Self> {
        let graph = read(file).and_then(|text| serde_yaml_ng::from_str(&text).context("it is no graph of tasks"));
        let graph = graph.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
        Ok(Self { file, graph })
    }

    fn bad(&self, error: &anyhow::Error) -> BadUse {
        BadUse(format!("{}: {error:#}", self.file.display()))
    }

    /// With the times that its tasks do not say.
    fn at(&self, deadline: &str, now: Timestamp) -> Result<Map<String, Value>> {
        self.with(|_, task| with_times(task, deadline, now))
    }

    /// With the times of those of its tasks that exist, where it says none: so that what is submitted again is the same.
    async fn as_there(&self, tc: &Taskcluster) -> Result<Map<String, Value>> {
        let mut there = HashMap::new();
        for id in self.ids() {
            match tc.queue().task(&id).await {
                Ok(task) => drop(there.insert(id, task)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.with(|id, task| {
            Ok(match id.and_then(|id| there.get(&id)) {
                Some(known) => with_times_of(task, known),
                None => task,
            })
        })
    }

    fn ids(&self) -> impl Iterator<Item = TaskId> {
        let nodes = self.graph.get("tasks").and_then(Value::as_array).into_iter().flatten();
        nodes.filter_map(|node| node.get("taskId")?.as_str()?.parse().ok())
    }

    fn with(
        &self,
        change: impl Fn(Option<TaskId>, Map<String, Value>) -> Result<Map<String, Value>>,
    ) -> Result<Map<String, Value>> {
        let mut graph = self.graph.clone();
        let tasks = graph.get_mut("tasks").and_then(Value::as_array_mut).context("it has no list of `tasks`")?;
        for (place, node) in tasks.iter_mut().enumerate() {
            let id = node.get("taskId").and_then(Value::as_str).and_then(|id| id.parse().ok());
            let task = node.get_mut("task").and_then(Value::as_object_mut);
            let task = task.with_context(|| format!("tasks[{place}] has no definition as its `task`"))?;
            *task = change(id, std::mem::take(task)).with_context(|| format!("tasks[{place}]"))?;
        }
        Ok(graph)
    }

    /// Everything that is wrong, each in a line with the name of its task.
    fn answered(&self, answer: Result<TaskGraphStatus, Error>) -> Result<TaskGraphStatus> {
        let error = match answer {
            Ok(status) => return Ok(status),
            Err(error) => error,
        };
        let faults = error.api().and_then(|answer| serde_json::from_slice::<Faults>(&answer.body).ok());
        let Some(Faults { error: faults }) = faults.filter(|faults| !faults.error.is_empty()) else {
            return Err(error.into());
        };
        for Fault { task_id, message } in &faults {
            eprintln!("{}", one_line(&anyhow!("{} ({task_id}): {message}", self.name(task_id))));
        }
        Err(anyhow!("nothing was submitted, since not all tasks can be created: {} faults", faults.len()))
    }

    fn name(&self, id: &TaskId) -> &str {
        let nodes = self.graph.get("tasks").and_then(Value::as_array).into_iter().flatten();
        let is_it = |node: &&Value| node.get("taskId").and_then(Value::as_str) == Some(&*id.to_string());
        nodes.into_iter().find(is_it).and_then(|node| node.pointer("/task/metadata/name")?.as_str()).unwrap_or_default()
    }
}

/// What the scheduler finds wrong, for programs.
#[derive(Deserialize)]
struct Faults {
    error: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    task_id: TaskId,
    message: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str, deadline: &str, now: Timestamp) -> Result<Map<String, Value>> {
        let mut file = tempfile::NamedTempFile::new()?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        Said::read(file.path())?.at(deadline, now)
    }

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
