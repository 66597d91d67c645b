//! A graph as a whole, and what its tasks make of it. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskcluster::queue::TaskMetadata;
use taskcluster::scheduler::{TaskGraphState, TaskGraphStatus, TaskGraphSummary};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use crate::node::Node;

/// What a graph was submitted with, beside its tasks. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "what a request says")]
pub struct Origin {
    /// What its tasks may need, all together.
    pub scopes: Vec<String>,
    /// Further routing keys of its messages.
    pub routes: Vec<String>,
    /// What it is, for people.
    pub metadata: TaskMetadata,
    /// Anything else.
    pub tags: BTreeMap<String, String>,
    /// Of the whole request, tasks included.
    pub digest: String,
}

/// What has to be known of all tasks to know the state of the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "columns of the database are read into it")]
pub struct Tally {
    /// How many tasks that nothing else waits for have not succeeded.
    pub leaves_left: i64,
    /// How many tasks have ended without success.
    pub blockers: i64,
}

impl Tally {
    /// The state that follows.
    #[must_use]
    pub fn state(self) -> TaskGraphState {
        match self {
            Self { leaves_left: 0, .. } => TaskGraphState::Finished,
            Self { blockers: 0, .. } => TaskGraphState::Running,
            Self { .. } => TaskGraphState::Blocked,
        }
    }

    /// What is true after a task, which may be a leaf, has changed.
    #[must_use]
    pub fn after(self, is_leaf: bool, before: &Node, now: &Node) -> Self {
        let left = |node: &Node| i64::from(is_leaf && !node.is_satisfied());
        let blocks = |node: &Node| i64::from(node.blocks());
        Self {
            leaves_left: self.leaves_left + left(now) - left(before),
            blockers: self.blockers + blocks(now) - blocks(before),
        }
    }
}

/// A graph that was accepted.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Graph {
    /// Its identifier.
    pub id: TaskId,
    /// What it was submitted with.
    pub origin: Origin,
    /// Where it stands.
    pub state: TaskGraphState,
    /// It was cancelled, and nobody has had anything run again since.
    pub cancelled: bool,
    /// When it was accepted.
    pub submitted: Timestamp,
    /// When the last of its tasks expires.
    pub expires: Timestamp,
}

impl Graph {
    /// Its status, as the API gives it.
    #[must_use]
    pub fn status(&self, scheduler_id: &str) -> TaskGraphStatus {
        TaskGraphStatus::new(self.id, scheduler_id, self.state.clone())
    }

    /// Itself, as a list shows it.
    #[must_use]
    pub fn summary(&self, scheduler_id: &str) -> TaskGraphSummary {
        let Origin { metadata, tags, routes, .. } = self.origin.clone();
        TaskGraphSummary::new(self.status(scheduler_id), metadata, tags, routes, self.submitted, self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Seen, State};

    #[test]
    fn a_graph_is_finished_by_its_leaves_alone() {
        assert_eq!(Tally { leaves_left: 0, blockers: 1 }.state(), TaskGraphState::Finished);
        assert_eq!(Tally { leaves_left: 2, blockers: 1 }.state(), TaskGraphState::Blocked);
        assert_eq!(Tally { leaves_left: 2, blockers: 0 }.state(), TaskGraphState::Running);
    }

    #[test]
    fn a_task_that_ends_counts_once_and_no_more_when_it_runs_again() {
        let new = Node::new(0, false);
        let failed = new.observe(Seen { runs: 1, state: State::Failed, failed: 1 }, false);
        let begun = Tally { leaves_left: 3, blockers: 0 };
        let blocked = begun.after(true, &new, &failed);
        assert_eq!(blocked, Tally { leaves_left: 3, blockers: 1 });
        assert_eq!(blocked.after(true, &failed, &failed.again()), begun);
        let done = failed.observe(Seen { runs: 2, state: State::Completed, failed: 1 }, false);
        assert_eq!(blocked.after(true, &failed, &done), Tally { leaves_left: 2, blockers: 0 });
        assert_eq!(blocked.after(false, &failed, &done), Tally { leaves_left: 3, blockers: 0 });
    }
}
