//! Waiting for the end of a task, or of a task group.
//!
//! [`Queue::wait_for`] and [`Queue::wait_for_group`] end when it has happened, however long ago. Where the handle hears
//! events (the builder's `events`, with the feature `events`, or `events_over_http`, with `event_stream` besides) they look once, and again when an event
//! says that it is worth it; otherwise they ask the queue again, less and less often. An event is never more than a hint
//! to look: what the queue answers is what counts, and it is looked at now and then anyway. So nothing is missed because it
//! happened too early, because an event was lost, or because one came twice.
//!
#![cfg_attr(feature = "events", doc = "```")]
#![cfg_attr(not(feature = "events"), doc = "```ignore")]
//! # use std::time::Duration;
//! # use taskcluster::{TaskId, Taskcluster};
//! # async fn example(tc: Taskcluster, task_id: TaskId, group: TaskId) -> Result<(), Box<dyn std::error::Error>> {
//! let status = tc.queue().wait_for(&task_id).await?;
//! println!("{task_id} is {}", status.state);
//!
//! // Not for ever: a future that is dropped waits no more. A task whose dependency has failed is unscheduled until its
//! // deadline, and as long nothing says that the group is over.
//! let summary = tokio::time::timeout(Duration::from_secs(3600), tc.queue().wait_for_group(&group)).await??;
//! println!("{} of {} tasks are completed", summary.completed, summary.tasks());
//! # Ok(())
//! # }
//! ```

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use taskcluster_core::{Error, TaskId, Timestamp, chain};

use crate::queue::{ListTaskGroupResponse, Queue, TaskState, TaskStatus};

mod watch;

use watch::Watch;

/// How the tasks of a group have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSummary {
    /// The group.
    pub task_group_id: TaskId,
    /// Since when the group takes no more tasks; `None` if more may be added to it.
    pub sealed: Option<Timestamp>,
    /// Tasks that succeeded.
    pub completed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that ended as an exception: cancelled, past their deadline, malformed.
    pub exception: u64,
}

impl GroupSummary {
    /// How many tasks the group has.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.completed + self.failed + self.exception
    }

    /// Whether every task succeeded.
    #[must_use]
    pub fn all_completed(&self) -> bool {
        self.failed == 0 && self.exception == 0
    }
}

impl Queue {
    /// Waits until the task is resolved, and gives its status.
    ///
    /// It ends as soon as the queue says that the task is `completed`, `failed` or `exception`, which may be at once. A run
    /// that ends while the queue gives the task another one, since its worker was lost say, is not the end: the task is then
    /// `pending` again. Whoever has the task run again afterwards (`rerunTask`) begins something new that this does not wait
    /// for; but a task that is run again before this has looked is waited for.
    ///
    /// At the latest it ends some time after the task's deadline, when the queue gives the task up.
    ///
    /// # Errors
    /// What the queue refuses: that there is no such task (404), also because it expired meanwhile, or missing scopes. While
    /// the queue cannot be reached it is asked again, for as long as that takes. Events that cannot be had are done without.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and nothing else, so a time limit goes around it.
    pub async fn wait_for(&self, task_id: &TaskId) -> Result<TaskStatus, Error> {
        let mut watch = Watch::over_task(self.caller(), task_id).await;
        loop {
            match self.status(task_id).await {
                Ok(answer) if is_resolved(&answer.status.state) => return Ok(answer.status),
                Ok(_) => {}
                Err(error) => bear(error)?,
            }
            watch.changed(Duration::ZERO).await;
        }
    }

    /// Waits until every task of the group is resolved, and gives how they ended.
    ///
    /// It ends when a listing of the group shows each of its tasks as `completed`, `failed` or `exception`, which may be at
    /// once. A task that is `unscheduled`, since what it depends on failed, is waited for too: until somebody cancels it, or
    /// the queue gives it up after its deadline. A large group is listed in pages, so a task that is run again while the
    /// later pages are read may be counted with its earlier end.
    ///
    /// That is the end of the tasks that the group has *now*. More can be added unless it is sealed, which
    /// [`GroupSummary::sealed`] tells: a group whose decision task is a member, as usual, does not end before that one has
    /// created the others, but an action may add to it later. Nor does a seal keep anybody from running tasks again.
    ///
    /// # Errors
    /// As those of [`wait_for`](Self::wait_for); a group that nobody has created a task in is unknown (404).
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and nothing else, so a time limit goes around it.
    pub async fn wait_for_group(&self, task_group_id: &TaskId) -> Result<GroupSummary, Error> {
        let mut watch = Watch::over_group(self.caller(), task_group_id).await;
        loop {
            let began = Instant::now();
            match self.summary(task_group_id).await {
                Ok(Some(summary)) => return Ok(summary),
                Ok(None) => {}
                Err(error) => bear(error)?,
            }
            // A group that takes long to list is listed less often.
            watch.changed(began.elapsed() * 4).await;
        }
    }

    /// How the tasks of a group ended; nothing if one has not.
    async fn summary(&self, task_group_id: &TaskId) -> Result<Option<GroupSummary>, Error> {
        let (mut sealed, mut completed, mut failed, mut exception) = (None, 0, 0, 0);
        let mut pages = self.list_task_group(task_group_id).pages();
        while let Some(page) = pages.try_next().await? {
            let page: ListTaskGroupResponse = page;
            sealed = page.sealed;
            for task in page.tasks {
                match task.status.state {
                    TaskState::Completed => completed += 1,
                    TaskState::Failed => failed += 1,
                    TaskState::Exception => exception += 1,
                    _ => return Ok(None),
                }
            }
        }
        Ok(Some(GroupSummary { task_group_id: *task_group_id, sealed, completed, failed, exception }))
    }
}

fn is_resolved(state: &TaskState) -> bool {
    matches!(state, TaskState::Completed | TaskState::Failed | TaskState::Exception)
}

/// What will pass is borne: whoever waits for hours waits through a restart of the queue too.
fn bear(error: Error) -> Result<(), Error> {
    if !error.is_retryable() {
        return Err(error);
    }
    tracing::warn!(error = %chain(&error), "cannot look at what is waited for; trying again");
    Ok(())
}
