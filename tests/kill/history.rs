//! What a deployment acknowledged, and whether it keeps its word.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures_util::TryStreamExt;
use harness::{Tester, soon};
use taskcluster::TaskId;
use taskcluster::queue::{Run, TaskStatus};

/// How far a task is known to have come. An answer that was lost may mean one step more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Asked,
    Created,
    Claimed,
    Completed,
}

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<BTreeMap<TaskId, Step>>);

impl History {
    pub(crate) fn record(&self, task_id: TaskId, step: Step) {
        let mut tasks = self.tasks();
        let known = tasks.entry(task_id).or_insert(step);
        *known = step.max(*known);
    }

    /// How many tasks have come that far.
    pub(crate) fn count(&self, step: Step) -> usize {
        self.tasks().values().filter(|known| **known >= step).count()
    }

    /// Holds the deployment to all of it.
    pub(crate) async fn check(&self, root: &Tester, group: TaskId) {
        let listed: Vec<_> = soon(root.queue().list_task_group(&group).stream().try_collect()).await.unwrap();
        let mut statuses: BTreeMap<TaskId, TaskStatus> = BTreeMap::new();
        for member in listed {
            let member: taskcluster::queue::TaskDefinitionAndStatus = member;
            assert!(member.task.metadata.name == "task", "{:?}", member.task);
            let twice = statuses.insert(member.status.task_id, member.status);
            assert!(twice.is_none(), "listed twice: {twice:?}");
        }
        let tasks = self.tasks().clone();
        for (task_id, step) in &tasks {
            match (step, statuses.get(task_id)) {
                (Step::Asked, None) => {}
                (step, None) => panic!("{task_id} was acknowledged as {step:?} and is gone"),
                (step, Some(status)) => kept(*step, status),
            }
        }
        assert!(statuses.keys().all(|task_id| tasks.contains_key(task_id)), "tasks that nobody asked for");
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, Step>> {
        self.0.lock().unwrap()
    }
}

fn kept(step: Step, status: &TaskStatus) {
    let state = status.state.as_str();
    let keeps = match step {
        Step::Asked | Step::Created => ["pending", "running", "completed"].contains(&state),
        Step::Claimed => ["running", "completed"].contains(&state),
        Step::Completed => state == "completed",
    };
    assert!(keeps, "acknowledged as {step:?}: {status:?}");
    let last = status.runs.last().unwrap_or_else(|| panic!("no run: {status:?}"));
    assert_eq!(last.state.as_str(), state, "{status:?}");
    for run in &status.runs {
        assert!(is_whole(run), "half done: {run:?}");
    }
}

/// Whether a run has what its state implies, and no more.
fn is_whole(run: &Run) -> bool {
    let claimed = run.started.is_some() && run.worker_id.is_some() && run.worker_group.is_some();
    let untouched = run.started.is_none() && run.worker_id.is_none() && run.taken_until.is_none();
    let resolved = run.resolved.is_some() && run.reason_resolved.is_some();
    match run.state.as_str() {
        "pending" => untouched && !resolved,
        "running" => claimed && run.taken_until.is_some() && !resolved,
        "completed" => claimed && resolved,
        _ => false,
    }
}
