//! What a group still waits for: by its last listing, and by what was heard since.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt;
use taskcluster_core::{Error, TaskId};

use super::GroupSummary;
use super::watch::Ended;
use crate::queue::{ListTaskGroupResponse, Queue, Requires, TaskDefinitionAndStatus, TaskState};

/// The tasks of a group that may still run, and how the others ended.
#[derive(Debug)]
pub(super) struct Group {
    moving: HashSet<TaskId>,
    /// By task: those that run only if it completes.
    needed_by: HashMap<TaskId, Vec<TaskId>>,
    summary: GroupSummary,
}

impl Group {
    /// The group as the queue lists it.
    pub(super) async fn list(queue: &Queue, id: &TaskId) -> Result<Self, Error> {
        let mut group = Self::empty(*id);
        let mut lost = Vec::new();
        let mut pages = queue.list_task_group(id).pages();
        while let Some(page) = pages.try_next().await? {
            let page: ListTaskGroupResponse = page;
            group.summary.sealed = page.sealed;
            lost.extend(page.tasks.into_iter().filter_map(|task| group.add(task)));
        }
        group.lose(lost);
        Ok(group)
    }

    fn empty(task_group_id: TaskId) -> Self {
        let summary = GroupSummary { task_group_id, sealed: None, completed: 0, failed: 0, exception: 0, not_run: 0 };
        Self { moving: HashSet::new(), needed_by: HashMap::new(), summary }
    }

    /// Adds a task; gives its id if it ended without completing.
    fn add(&mut self, task: TaskDefinitionAndStatus) -> Option<TaskId> {
        let id = task.status.task_id;
        match task.status.state {
            TaskState::Completed => self.summary.completed += 1,
            TaskState::Failed => self.summary.failed += 1,
            TaskState::Exception => self.summary.exception += 1,
            TaskState::Unscheduled => {
                // It counts when nothing moves any more.
                self.summary.not_run += 1;
                self.moving.insert(id);
                if task.task.requires == Requires::AllCompleted {
                    for dependency in task.task.dependencies {
                        self.needed_by.entry(dependency).or_default().push(id);
                    }
                }
                return None;
            }
            _ => {
                self.moving.insert(id);
                return None;
            }
        }
        (task.status.state != TaskState::Completed).then_some(id)
    }

    /// Nothing of what needs these tasks to complete will run, nor what needs that.
    fn lose(&mut self, mut lost: Vec<TaskId>) {
        while let Some(id) = lost.pop() {
            let dependents = self.needed_by.remove(&id).unwrap_or_default();
            lost.extend(dependents.into_iter().filter(|dependent| self.moving.remove(dependent)));
        }
    }

    /// Takes note of the end of a task.
    pub(super) fn ended(&mut self, task: Ended) {
        self.moving.remove(&task.task_id);
        if !task.completed {
            self.lose(vec![task.task_id]);
        }
    }

    /// Whether something may still run.
    pub(super) fn moves(&self) -> bool {
        !self.moving.is_empty()
    }

    /// How the tasks ended, if nothing has been heard since they were listed.
    pub(super) fn into_summary(self) -> GroupSummary {
        self.summary
    }
}
