//! What can be wrong with a graph, by label.

use std::fmt;

use taskcluster_core::ids::TaskQueueId;

/// Everything that is wrong with a graph. Shown one problem per line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphError {
    /// The problems, at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for GraphError {}

/// One thing that is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Two tasks of one label.
    #[error("there are two tasks with the label `{0}`")]
    Duplicate(String),
    /// An edge to a task that does not exist.
    #[error("task `{label}` needs `{needs}`, which does not exist")]
    Dangling {
        /// The task with the edge.
        label: String,
        /// The label that no task has.
        needs: String,
    },
    /// The same of a task that it need only come after.
    #[error("task `{label}` comes after `{after}`, which does not exist")]
    DanglingAfter {
        /// The task with the edge.
        label: String,
        /// The label that no task has.
        after: String,
    },
    /// Tasks that need each other. The first label is repeated at the end. Of circles that share tasks, one is told.
    #[error("tasks need each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// More dependencies than the queue takes.
    #[error("task `{label}` has {count} dependencies, and the queue takes {}", super::DEPENDENCIES_AT_MOST)]
    TooManyDependencies {
        /// The task.
        label: String,
        /// How many it has, the decision task among them.
        count: usize,
    },
    /// A deadline before the creation.
    #[error("task `{0}` has a deadline before it is created")]
    DeadlineBeforeCreated(String),
    /// An expiry before the deadline.
    #[error("task `{0}` expires before its deadline")]
    ExpiresBeforeDeadline(String),
    /// The queue takes no task that needs one which may be forgotten before it runs.
    #[error("task `{needs}` expires before the deadline of `{label}`, which needs it")]
    ExpiresBeforeUse {
        /// The task with the edge.
        label: String,
        /// The task that expires too early.
        needs: String,
    },
    /// Neither a task queue nor provisioner and worker type.
    #[error("task `{0}` does not say in which task queue it waits")]
    NoTaskQueue(String),
    /// What the queue takes in no definition: a name of odd characters, too many routes, a scope that ends in two stars, a
    /// deadline next month, and their like.
    #[error("task `{label}` would be refused: {place} {reason}")]
    Refused {
        /// The task.
        label: String,
        /// The property, such as `routes[2]`.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tasks of a group have one scheduler.
    #[error("task `{label}` has the scheduler `{scheduler_id}`, and its group has `{expected}`")]
    Scheduler {
        /// The task.
        label: String,
        /// What it says.
        scheduler_id: String,
        /// What the graph says, or its first task.
        expected: String,
    },
    /// What the task queue's workers would not take.
    #[error("task `{label}` has a payload that is not valid for `{task_queue_id}`: {reason}")]
    Payload {
        /// The task.
        label: String,
        /// Where it waits.
        task_queue_id: TaskQueueId,
        /// One of the reasons that the check gave.
        reason: String,
    },
    /// What may be replaced by an earlier task has to be made of what may be replaced itself.
    #[error("task `{label}` is cached and needs `{needs}`, which is not: it cannot be said what `{label}` is made of")]
    NotCached {
        /// The task with the edge.
        label: String,
        /// The task without a digest.
        needs: String,
    },
}

impl Problem {
    /// The label of the task that is wrong; of a circle, its first.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Duplicate(label) | Self::DeadlineBeforeCreated(label) | Self::ExpiresBeforeDeadline(label) => label,
            Self::NoTaskQueue(label) => label,
            Self::Cycle(labels) => labels.first().map(String::as_str).unwrap_or_default(),
            Self::Dangling { label, .. }
            | Self::DanglingAfter { label, .. }
            | Self::TooManyDependencies { label, .. }
            | Self::ExpiresBeforeUse { label, .. }
            | Self::Refused { label, .. }
            | Self::Scheduler { label, .. }
            | Self::Payload { label, .. }
            | Self::NotCached { label, .. } => label,
        }
    }
}
