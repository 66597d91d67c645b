//! What a file says of tasks that are submitted as one: a graph, or tasks for one.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use taskcluster::queue::{TaskDefinition, TaskIdsRequest};
use taskcluster::scheduler::TaskGraphStatus;
use taskcluster::{Error, TaskId, Taskcluster, Timestamp};

use super::super::definition::{read, with_times, with_times_of};
use super::super::talk::BadUse;
use crate::exit::one_line;

/// How many tasks are asked for at a time.
const AT_ONCE: usize = 500;

/// A graph, or an object with no more than its `tasks`.
pub(super) struct Said<'a> {
    file: &'a Path,
    graph: Map<String, Value>,
}

impl<'a> Said<'a> {
    pub(super) fn read(file: &'a Path) -> Result<Self> {
        let graph = read(file).and_then(|text| serde_yaml_ng::from_str(&text).context("it is no graph of tasks"));
        let graph = graph.map_err(|error| bad(file, &error))?;
        Ok(Self { file, graph })
    }

    /// With the times that its tasks do not say.
    pub(super) fn at(&self, deadline: &str, now: Timestamp) -> Result<Map<String, Value>> {
        self.with(|_, task| with_times(task, deadline, now))
    }

    /// With the times of those of its tasks that exist, where it says none: so that what is sent again is the same.
    pub(super) async fn as_there(&self, tc: &Taskcluster) -> Result<Map<String, Value>> {
        let ids: Vec<TaskId> = self.nodes().filter_map(id_of).collect();
        let mut there: HashMap<TaskId, TaskDefinition> = HashMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let asked = TaskIdsRequest::new().with_task_ids(ids.iter().copied());
            let found: Vec<_> = tc.queue().tasks(&asked).stream().try_collect().await?;
            there.extend(found.into_iter().map(|entry| (entry.task_id, entry.task)));
        }
        self.with(|id, task| {
            Ok(match id.and_then(|id| there.get(&id)) {
                Some(known) => with_times_of(task, known),
                None => task,
            })
        })
    }

    /// Everything that is wrong, each in a line with the name of its task.
    pub(super) fn answered(&self, answer: Result<TaskGraphStatus, Error>) -> Result<TaskGraphStatus> {
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

    fn nodes(&self) -> impl Iterator<Item = &Value> {
        self.graph.get("tasks").and_then(Value::as_array).into_iter().flatten()
    }

    fn name(&self, id: &TaskId) -> &str {
        let node = self.nodes().find(|node| id_of(node) == Some(*id));
        node.and_then(|node| node.pointer("/task/metadata/name")?.as_str()).unwrap_or_default()
    }

    /// With each definition changed like this.
    fn with(
        &self,
        change: impl Fn(Option<TaskId>, Map<String, Value>) -> Result<Map<String, Value>>,
    ) -> Result<Map<String, Value>> {
        let changed = || {
            let mut graph = self.graph.clone();
            let tasks = graph.get_mut("tasks").and_then(Value::as_array_mut).context("it has no list of `tasks`")?;
            for (place, node) in tasks.iter_mut().enumerate() {
                let id = id_of(node);
                let task = node.get_mut("task").and_then(Value::as_object_mut);
                let task = task.with_context(|| format!("tasks[{place}] has no definition as its `task`"))?;
                *task = change(id, std::mem::take(task)).with_context(|| format!("tasks[{place}]"))?;
            }
            Ok(graph)
        };
        changed().map_err(|error| bad(self.file, &error))
    }
}

fn id_of(node: &Value) -> Option<TaskId> {
    node.get("taskId")?.as_str()?.parse().ok()
}

fn bad(file: &Path, error: &anyhow::Error) -> anyhow::Error {
    BadUse(format!("{}: {error:#}", file.display())).into()
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
