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
//! // Not for ever: a future that is dropped waits no more.
//! let summary = tokio::time::timeout(Duration::from_secs(3600), tc.queue().wait_for_group(&group)).await??;
//! println!("{} of {} tasks are completed", summary.completed, summary.tasks());
//! # Ok(())
//! # }
//! ```

use std::time::{Duration, Instant};

use taskcluster_core::{Error, TaskId, Timestamp, chain};

use crate::queue::{Queue, TaskState, TaskStatus};

mod group;
mod watch;

use group::Group;
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
    /// Tasks that never run: they are unscheduled, and what they need to complete did not, or does not run itself.
    pub not_run: u64,
}

impl GroupSummary {
    /// How many tasks the group has.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.completed + self.failed + self.exception + self.not_run
    }

    /// Whether every task succeeded.
    #[must_use]
    pub fn all_completed(&self) -> bool {
        self.completed == self.tasks()
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
            watch.changed(Duration::ZERO, |_| true).await;
        }
    }

    /// Waits until no task of the group can run any more, and gives how they ended.
    ///
    /// It ends when a listing of the group shows each of its tasks as `completed`, `failed` or `exception`, or as one that
    /// never runs: `unscheduled`, while a task of the group that it needs to complete did not, or never runs itself. (The
    /// queue keeps such a task until its deadline and then makes it an `exception`. One that `requires` its dependencies
    /// only to be resolved begins then, and is waited for.) What becomes of dependencies in other groups is not looked at.
    /// A large group is listed in pages, so a task that is run again while the later pages are read may be counted with its
    /// earlier end.
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
        let mut group = None;
        loop {
            let began = Instant::now();
            match Group::list(self, task_group_id).await {
                Ok(listed) if !listed.moves() => return Ok(listed.into_summary()),
                Ok(listed) => group = Some(listed),
                Err(error) => bear(error)?,
            }
            // It is listed again once the last task that was moving is heard to have ended. A group that takes long to list
            // is listed less often.
            let worth_it = |task| {
                group.as_mut().is_none_or(|group| {
                    group.ended(task);
                    !group.moves()
                })
            };
            watch.changed(began.elapsed() * 4, worth_it).await;
        }
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
