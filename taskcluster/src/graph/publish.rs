//! What a decision task leaves behind for people, tools and actions: `public/task-graph.json` and its like.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::Serialize;
use serde_json::Value;

use super::{CheckedGraph, Parameters};

/// The files that decision tasks publish, under the names that everybody expects.
///
/// The decision task writes them into a folder, and its worker publishes that as `public`: where `.taskcluster.yml` starts
/// the decision task, its payload has `artifacts: [{type: directory, path: public, name: public}]`. So they are there even if
/// the decision task fails afterwards, and tell what it meant to do. Write them before you submit.
///
/// ```
/// use taskcluster::graph::{DecisionFiles, Parameters};
/// use taskcluster::{Report, Taskcluster};
///
/// async fn decide(tc: &Taskcluster) -> Result<(), Report> {
///     let push = Parameters::from_env(&tc.queue()).await?;
///     let all = push.graph().check()?; // with tasks in it
///     let files = DecisionFiles::new(&push).with_full_graph(&all);
///     let graph = all.only(|task| task.kind != "release");
///     files.with_target_tasks(&graph).with_graph(&graph).write_to("public")?;
///     graph.submit(&tc.queue()).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct DecisionFiles {
    /// By name, without `public/`.
    files: BTreeMap<&'static str, String>,
}

impl DecisionFiles {
    /// `parameters.yml` alone: what was decided about.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        Self { files: BTreeMap::from([("parameters.yml", parameters.to_yaml())]) }
    }

    /// And `full-task-graph.json`: all tasks that there could be, before anything is selected.
    #[must_use]
    pub fn with_full_graph(self, graph: &CheckedGraph) -> Self {
        self.with("full-task-graph.json", &graph.to_json())
    }

    /// And `target-tasks.json`: the labels that are wanted for this push, before anything is skipped or replaced.
    #[must_use]
    pub fn with_target_tasks(self, graph: &CheckedGraph) -> Self {
        let labels: Vec<&str> = graph.tasks().map(|task| task.label.as_str()).collect();
        self.with("target-tasks.json", &labels)
    }

    /// And `task-graph.json` with `label-to-taskid.json`: the tasks as they are submitted, and the ids of these and of those
    /// that earlier tasks stand in for.
    #[must_use]
    pub fn with_graph(self, graph: &CheckedGraph) -> Self {
        self.with("task-graph.json", &graph.to_json()).with("label-to-taskid.json", &graph.label_to_task_id())
    }

    /// And `actions.json`: what people may do to the tasks. Feature `actions` makes it.
    #[must_use]
    pub fn with_actions(self, actions: &Value) -> Self {
        self.with("actions.json", actions)
    }

    fn with(mut self, name: &'static str, content: &impl Serialize) -> Self {
        let text = serde_json::to_string_pretty(content).expect("keys are texts, and nothing else can fail");
        self.files.insert(name, text);
        self
    }

    /// The names, without `public/`, and contents.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// Writes them into this folder, which is made if it is not there.
    ///
    /// # Errors
    /// The file system refuses; the error names the file.
    pub fn write_to(&self, folder: impl AsRef<Path>) -> io::Result<()> {
        let folder = folder.as_ref();
        let told = |path: &Path, error: &io::Error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        };
        fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        for (name, text) in self.iter() {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| told(&path, &error))?;
        }
        Ok(())
    }
}
