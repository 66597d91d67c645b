//! Watching a task group until it is over.
//!
//! Events only say "look now"; what is true is what the queue lists. So a lost event costs a second, not the run.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use taskcluster::events::{Binding, Bus, BusError, Message, Subscription};
use taskcluster::queue::events::TaskDefined;
use taskcluster::queue::{self, Queue, Requires, TaskDefinition, TaskState, TaskStatus};
use taskcluster_core::ids::TaskId;

use crate::progress::{Member, State};

/// How long to wait for an event before looking anyway.
const SWEEP: Duration = Duration::from_secs(1);

/// How long to collect events before looking: they come in flocks.
const FLOCK: Duration = Duration::from_millis(30);

/// The task groups of a run, seen through the queue.
#[derive(Debug)]
pub(crate) struct Groups {
    ids: Vec<TaskId>,
    /// Groups that others made meanwhile, as a task does that creates one without a word about its group. They are not the
    /// run's, but what is left of them must not come up in a later one.
    others: Vec<TaskId>,
    queue: Queue,
    events: Subscription,
}

impl Groups {
    /// Watches these groups; the subscription is in place when this returns.
    pub(crate) async fn watch(ids: Vec<TaskId>, queue: Queue, bus: &dyn Bus) -> Result<Self> {
        let bindings = queue::events::ALL.iter().map(|exchange| Binding::everything(exchange.exchange)).collect();
        let events = bus.subscribe(bindings).await.context("cannot listen to the queue's events")?;
        Ok(Self { ids, others: Vec::new(), queue, events })
    }

    /// All groups that are known: the run's, then others.
    pub(crate) fn all(&self) -> Vec<TaskId> {
        [&*self.ids, &*self.others].concat()
    }

    /// All tasks of the groups, as they are now.
    pub(crate) async fn list(&self) -> Result<Vec<Member>> {
        self.members(&self.ids).await
    }

    /// All tasks of groups that others made, as they are now.
    pub(crate) async fn list_others(&self) -> Result<Vec<Member>> {
        self.members(&self.others).await
    }

    async fn members(&self, groups: &[TaskId]) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        for id in groups {
            let listed: Vec<_> =
                self.queue.list_task_group(id).stream().try_collect().await.context("cannot list the task group")?;
            members.extend(listed.into_iter().map(|member| member_of(&member.status, &member.task)));
        }
        Ok(members)
    }

    /// Waits until it is worth looking again.
    ///
    /// # Cancel safety
    /// Nothing is lost: whoever drops this looks by itself.
    pub(crate) async fn changed(&mut self) {
        match tokio::time::timeout(SWEEP, self.events.next()).await {
            Ok(Some(heard)) => self.hear(&heard),
            // The bus is closed; looking regularly still works.
            Ok(None) => tokio::time::sleep(SWEEP).await,
            Err(_) => {}
        }
        self.catch_up().await;
    }

    /// Hears what has been said by now.
    pub(crate) async fn catch_up(&mut self) {
        tokio::time::sleep(FLOCK).await;
        while let Ok(Some(heard)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            self.hear(&heard);
        }
    }

    fn hear(&mut self, heard: &Result<Message, BusError>) {
        if let Ok(message) = heard
            && message.exchange == TaskDefined::EXCHANGE.exchange
            && let Ok(Told { status }) = serde_json::from_slice(&message.payload)
            && !self.ids.contains(&status.task_group_id)
            && !self.others.contains(&status.task_group_id)
        {
            self.others.push(status.task_group_id);
        }
    }

    /// Cancels tasks that never begin.
    pub(crate) async fn give_up(&self, tasks: &[TaskId]) -> Result<()> {
        for id in tasks {
            self.queue.cancel_task(id).await.context("cannot cancel a task that never begins")?;
        }
        Ok(())
    }

    /// Seals the groups, also those of others, and cancels what is not resolved.
    pub(crate) async fn cancel(&self) -> Result<()> {
        for id in self.ids.iter().chain(&self.others) {
            cancel(&self.queue, id).await?;
        }
        Ok(())
    }
}

/// What every message about a task has.
#[derive(Deserialize)]
struct Told {
    status: TaskStatus,
}

/// Seals a group and cancels what is not resolved in it; a group that is gone is fine.
pub(crate) async fn cancel(queue: &Queue, id: &TaskId) -> Result<()> {
    let sealed = queue.seal_task_group(id).await;
    match sealed {
        Ok(_) => {}
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error).context("cannot seal the task group"),
    }
    queue.cancel_task_group(id).await.context("cannot cancel the task group")?;
    Ok(())
}

fn member_of(status: &TaskStatus, task: &TaskDefinition) -> Member {
    let last = status.runs.last();
    let state = match &status.state {
        TaskState::Unscheduled => State::Unscheduled,
        TaskState::Pending => State::Pending,
        TaskState::Running => State::Running,
        TaskState::Completed => State::Completed,
        TaskState::Failed => State::Failed,
        TaskState::Exception => {
            let reason = last.and_then(|run| run.reason_resolved.as_ref());
            State::Exception(reason.map_or_else(|| "exception".to_owned(), ToString::to_string))
        }
        unknown => State::Exception(unknown.to_string()),
    };
    Member {
        id: status.task_id,
        name: task.metadata.name.clone(),
        queue: status.task_queue_id.clone(),
        state,
        dependencies: task.dependencies.clone(),
        takes_failures: task.requires == Requires::AllResolved,
        run: last.map(|run| run.run_id.get()),
        started: last.and_then(|run| run.started),
        resolved: last.and_then(|run| run.resolved),
    }
}
