//! Which tasks of all that could run are wanted for this push.

use super::Changes;
use super::checked::{CheckedGraph, GraphTask};

impl CheckedGraph {
    /// The tasks for which `wanted` says yes, and all that they need: by label, by kind, by attribute, by anything.
    ///
    /// ```
    /// # use taskcluster::graph::CheckedGraph;
    /// fn tests_only(graph: CheckedGraph) -> CheckedGraph {
    ///     graph.only(|task| task.kind == "test" && task.attributes["platform"] == "linux")
    /// }
    /// ```
    #[must_use]
    pub fn only(self, wanted: impl Fn(&GraphTask) -> bool) -> Self {
        let wanted: Vec<bool> = self.tasks.iter().map(wanted).collect();
        self.with_what_they_need(wanted)
    }

    /// What these changes ask for: the tasks that look at one of the files, those that need such a task, those that
    /// look at everything, and all that these need.
    #[must_use]
    pub fn changed_by(self, changes: &Changes) -> Self {
        let mut touched = Vec::with_capacity(self.tasks.len());
        for task in &self.tasks {
            let through_another = task.edges.needs.iter().any(|at| touched[*at]);
            touched.push(through_another || !task.files.is_empty() && changes.touch_any(&task.files));
        }
        let looks_at_everything = self.tasks.iter().map(|task| task.files.is_empty());
        let wanted = touched.iter().zip(looks_at_everything).map(|(touched, always)| *touched || always).collect();
        self.with_what_they_need(wanted)
    }

    fn with_what_they_need(self, mut wanted: Vec<bool>) -> Self {
        for (at, task) in self.tasks.iter().enumerate().rev() {
            if wanted[at] {
                task.edges.needs.iter().for_each(|needed| wanted[*needed] = true);
            }
        }
        self.retain(&wanted)
    }
}
