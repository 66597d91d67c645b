//! A decision task's graph: tasks by label, edges between labels, checks, selection, and submission.
//!
//! A decision task computes what there is to do for a commit and creates those tasks in its own task group. It speaks of
//! tasks by *label* (`build`, `test-linux`), while the queue wants ids. What it does, from one end to the other:
//!
//! 1. [`Parameters`] say what was pushed and what follows from the decision task itself: ids, times, task queue, owner.
//! 2. *Kinds* are functions that give [`Task`]s, *transforms* change them, and a [`TaskGraph`] collects them all, whatever
//!    was pushed. [`chunks`] makes few tasks of many tests.
//! 3. [`check`](TaskGraph::check) finds everything that is wrong with them before anything is created, and names it by label.
//! 4. [`only`](CheckedGraph::only) and [`changed_by`](CheckedGraph::changed_by) select what is wanted for this push,
//!    [`skip`](CheckedGraph::skip) leaves out what may be left out, and [`replace`](CheckedGraph::replace) puts earlier tasks
//!    in the place of those that would only do the same again.
//! 5. [`submit`](CheckedGraph::submit) creates the tasks, several at once, each as soon as those it needs exist.
//!
//! A task's id is [derived](TaskId::derive) from the decision task's id and the label. So it is known before anything is
//! created, a payload may name another task's artifacts, and a decision task that is tried again, or goes on after a crash,
//! asks for exactly what is there already: it changes nothing. For this, two runs must give equal definitions: take times
//! from [`Parameters::created`], not from the clock.
//!
//! [`DecisionFiles`] are what it publishes of all this. Feature `actions`: [`actions`] are what people may do to the tasks
//! afterwards. Two pages say how to come here:
//! [from Python's taskgraph](from_taskgraph), and [from Jenkins or Buildbot](from_jenkins_and_buildbot).
//!
//! A whole decision task:
//!
//! ```
//! use taskcluster::graph::{Changes, Parameters, Task};
//! use taskcluster::time::hours;
//! use taskcluster::{Report, Taskcluster, object};
//!
//! /// A kind: builds for two platforms.
//! fn builds(push: &Parameters) -> impl Iterator<Item = Task> {
//!     ["linux", "macos"].into_iter().map(|platform| {
//!         let payload = object! { "command": [["make", platform]], "maxRunTime": 3600 };
//!         let definition = push.definition("build", "Builds it.", hours(2), payload);
//!         Task::new(format!("build-{platform}"), definition).with_files(["src/**", "Makefile"])
//!     })
//! }
//!
//! /// Another one: each build has a test.
//! fn tests(push: &Parameters, builds: &[Task]) -> Vec<Task> {
//!     let test = |build: &Task| {
//!         let payload = object! { "command": [["make", "test"]], "maxRunTime": 3600 };
//!         let label = build.label.replace("build", "test");
//!         Task::new(label, push.definition("test", "Tests it.", hours(4), payload)).with_needs([&build.label])
//!     };
//!     builds.iter().map(test).collect()
//! }
//!
//! async fn decide(tc: &Taskcluster) -> Result<(), Report> {
//!     let push = Parameters::from_env(&tc.queue()).await?;
//!     let changes = Changes::between(".", push.base_revision.as_deref(), &push.head_revision)?;
//!     let builds: Vec<Task> = builds(&push).collect();
//!     let mut graph = push.graph();
//!     graph.add_kind("test", tests(&push, &builds));
//!     graph.add_kind("build", builds);
//!     let graph = graph.check()?.changed_by(&changes);
//!     graph.submit(&tc.queue()).await?;
//!     Ok(())
//! }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use taskcluster_core::ids::TaskId;
use taskcluster_core::time::days;

#[cfg(feature = "actions")]
pub mod actions;
#[doc = include_str!("graph/from_jenkins_and_buildbot.md")]
pub mod from_jenkins_and_buildbot {}
#[doc = include_str!("graph/from_taskgraph.md")]
pub mod from_taskgraph {}

mod changes;
mod check;
mod checked;
mod chunk;
mod digest;
mod ensure;
mod kinds;
mod optimise;
mod order;
mod parameters;
mod payloads;
mod problem;
mod publish;
mod select;
mod submit;
mod task;

pub use changes::{Changes, GitError, matches};
pub use checked::{CheckedGraph, GraphTask};
pub use chunk::chunks;
pub use digest::Digest;
pub use ensure::ensure_task;
pub use kinds::{docker_image, toolchain};
pub use optimise::{Cached, Earlier, Found};
pub use parameters::{Parameters, ParametersError};
pub use payloads::Payloads;
pub use problem::{GraphError, Problem};
pub use publish::DecisionFiles;
pub use submit::SubmitError;
pub use task::Task;

/// How many dependencies a task may have, the decision task among them.
pub const DEPENDENCIES_AT_MOST: usize = 10_000;

/// How far off a deadline may be, unless the deployment says otherwise.
const DEADLINE_WITHIN: Duration = days(5);

/// Tasks by label, as a decision task collects them.
///
/// ```
/// use taskcluster::graph::{Task, TaskGraph};
/// use taskcluster::queue::TaskDefinitionRequest;
///
/// # fn definition(name: &str) -> TaskDefinitionRequest {
/// #     let definition = serde_json::json!({
/// #         "taskQueueId": "local/native", "created": "2026-01-01T00:00:00.000Z",
/// #         "deadline": "2026-01-01T01:00:00.000Z", "payload": {},
/// #         "metadata": {"name": name, "description": name, "owner": "me@example.com", "source": "https://example.com"},
/// #     });
/// #     serde_json::from_value(definition).expect("a definition")
/// # }
/// # fn main() -> Result<(), taskcluster::graph::GraphError> {
/// let decision_task = "fN1SbArXTPSVFNUvaOlinQ".parse().expect("an id");
/// let mut graph = TaskGraph::new(decision_task);
/// graph.add(Task::new("test", definition("test")).with_needs(["build"]));
/// graph.add(Task::new("build", definition("build")));
///
/// let graph = graph.check()?;
/// let order: Vec<&str> = graph.tasks().map(|task| task.label.as_str()).collect();
/// assert_eq!(order, ["build", "test"]);
/// // Within a task: graph.submit(&queue).await?
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TaskGraph {
    decision_task: TaskId,
    task_group_id: TaskId,
    scheduler_id: Option<String>,
    /// Labels of tasks that exist already.
    existing: BTreeMap<String, TaskId>,
    deadline_within: Duration,
    tasks: Vec<Task>,
}

impl TaskGraph {
    /// An empty graph of this decision task, whose tasks are in the group of the same id.
    ///
    /// Every task also depends on the decision task itself, so that nothing begins if that one fails.
    #[must_use]
    pub fn new(decision_task: TaskId) -> Self {
        Self {
            decision_task,
            task_group_id: decision_task,
            scheduler_id: None,
            existing: BTreeMap::new(),
            deadline_within: DEADLINE_WITHIN,
            tasks: Vec::new(),
        }
    }

    /// Puts the tasks that name no group into this one. This is how a task adds tasks to a group that runs already.
    #[must_use]
    pub fn with_task_group_id(mut self, task_group_id: TaskId) -> Self {
        self.task_group_id = task_group_id;
        self
    }

    /// Gives the tasks that name no scheduler this one. The tasks of a group have the same.
    #[must_use]
    pub fn with_scheduler_id(mut self, scheduler_id: impl Into<String>) -> Self {
        self.scheduler_id = Some(scheduler_id.into());
        self
    }

    /// These tasks exist already, and others may need them by label: `public/label-to-taskid.json` of an earlier decision.
    #[must_use]
    pub fn with_existing(mut self, tasks: impl IntoIterator<Item = (String, TaskId)>) -> Self {
        self.existing.extend(tasks);
        self
    }

    /// Deadlines may be this far off: five days, unless the deployment allows more, or less.
    #[must_use]
    pub fn with_deadline_within(mut self, within: Duration) -> Self {
        self.deadline_within = within;
        self
    }

    /// The id that the task with this label has or would have.
    pub fn task_id(&self, label: &str) -> TaskId {
        self.existing.get(label).copied().unwrap_or_else(|| TaskId::derive(&self.decision_task, label))
    }

    /// Adds a task and gives its id. The tasks that it needs may be added later; whether they are there, and whether the
    /// label is taken, is for [`check`](Self::check) to say.
    pub fn add(&mut self, task: Task) -> TaskId {
        let id = self.task_id(&task.label);
        self.tasks.push(task);
        id
    }

    /// Adds the tasks of a kind, which is written into each that is of none yet.
    pub fn add_kind(&mut self, kind: &str, tasks: impl IntoIterator<Item = Task>) {
        self.tasks.extend(tasks.into_iter().map(|mut task| {
            if task.kind.is_empty() {
                kind.clone_into(&mut task.kind);
            }
            task
        }));
    }

    /// The tasks so far, in the order in which they were added.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &Task> {
        self.tasks.iter()
    }
}

impl Extend<Task> for TaskGraph {
    fn extend<I: IntoIterator<Item = Task>>(&mut self, tasks: I) {
        self.tasks.extend(tasks);
    }
}
