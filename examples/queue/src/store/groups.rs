//! What happens to whole groups.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::Timestamp;

use super::batch::{Answer, Op};
use super::outbox::write_messages;
use super::sql::{Arg, Sql};
use super::{Store, StoreError, rows};
use crate::group::Group;
use crate::messages;
use crate::task::{Event, Task};

const SEAL: &str = "UPDATE task_groups SET sealed = COALESCE(sealed, $2) WHERE task_group_id = $1
    RETURNING task_group_id, scheduler_id, expires, sealed, unresolved";

const MEMBER_STATUS: &str = "SELECT * FROM tasks WHERE task_group_id = $1 AND task_id > $2 ORDER BY task_id LIMIT $3";

const SIZE: &str = "SELECT count(*) AS size FROM tasks WHERE task_group_id = $1";

/// How many members are looked at, and changed in one transaction, at a time, so that others get their turn between.
const PAGE: i64 = 500;

impl Store {
    /// Runs work in a transaction of its own.
    pub(super) async fn transaction<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        W: for<'c> FnOnce(&'c mut dyn Sql) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let result: Arc<Mutex<Option<T>>> = Arc::default();
        let inside = Arc::clone(&result);
        self.backend
            .write(Box::new(move |sql| {
                Box::pin(async move {
                    let value = work(sql).await?;
                    *inside.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                    Ok(())
                })
            }))
            .await?;
        let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or(StoreError::Lost("the result"))
    }

    /// Closes a group to new tasks. Once closed it stays so; the first time counts.
    ///
    /// # Errors
    /// The store's.
    pub async fn seal_group(&self, id: TaskId, now: Timestamp) -> Result<Option<Group>, StoreError> {
        let dialect = self.backend.dialect();
        let group = self
            .transaction(move |sql| {
                Box::pin(async move {
                    let found = sql.rows(SEAL, &[Arg::from(id.to_string()), now.into()]).await?;
                    let group = found.first().map(rows::group).transpose()?;
                    if let Some(group) = &group {
                        write_messages(sql, dialect, &[messages::group_sealed(group)]).await?;
                    }
                    Ok(group)
                })
            })
            .await?;
        self.new_events.send_modify(|count| *count += 1);
        Ok(group)
    }

    /// How many tasks a group has.
    ///
    /// # Errors
    /// The store's.
    pub async fn group_size(&self, id: TaskId) -> Result<u64, StoreError> {
        let found = self.reader().await?.rows(SIZE, &[Arg::from(id.to_string())]).await?;
        Ok(found.first().ok_or(StoreError::Lost("a count"))?.int("size")?.unsigned_abs())
    }

    /// Cancels the unresolved tasks of a group whose deadline is ahead, and names them.
    ///
    /// Some hundred tasks are one change; all of them are not: repeat it if it was interrupted.
    ///
    /// # Errors
    /// The store's.
    pub async fn cancel_group(&self, id: TaskId, now: Timestamp) -> Result<Vec<TaskId>, StoreError> {
        self.each_member(id, now, &Event::Cancel).await
    }

    /// Changes the priority of the tasks of a group that have never been resolved and whose deadline is ahead, and
    /// names them.
    ///
    /// Some hundred tasks are one change; all of them are not: repeat it if it was interrupted.
    ///
    /// # Errors
    /// The store's.
    pub async fn change_group_priority(
        &self,
        group: &Group,
        new: &Priority,
        now: Timestamp,
    ) -> Result<Vec<TaskId>, StoreError> {
        let event = Event::ChangePriority { priority: new.clone(), announce: false };
        let changed = self.each_member(group.task_group_id, now, &event).await?;
        let message = messages::group_priority_changed(group, new, changed.len());
        let dialect = self.backend.dialect();
        self.transaction(move |sql| Box::pin(async move { write_messages(sql, dialect, &[message]).await })).await?;
        self.new_events.send_modify(|count| *count += 1);
        Ok(changed)
    }

    /// Lets an event happen to the members that it is meant for, a page of them in each transaction.
    async fn each_member(&self, group: TaskId, now: Timestamp, event: &Event) -> Result<Vec<TaskId>, StoreError> {
        let group = group.to_string();
        let mut after = String::new();
        let mut changed = Vec::new();
        loop {
            let args = [Arg::from(&group), Arg::from(&after), Arg::from(PAGE)];
            let found = self.reader().await?.rows(MEMBER_STATUS, &args).await?;
            let tasks = found.iter().map(rows::task).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = tasks.last() else { return Ok(changed) };
            after = last.task_id.to_string();
            let ids: Vec<TaskId> =
                tasks.iter().filter(|task| is_meant_for(event, task, now)).map(|task| task.task_id).collect();
            if ids.is_empty() {
                continue;
            }
            match self.lanes.send(Op::ApplyAll(ids, event.clone(), now)).await? {
                Answer::AppliedAll(answer) => changed.extend(answer),
                _ => return Err(StoreError::Lost("the answer")),
            }
        }
    }
}

/// Whether an event that happens to a group is meant for this member of it, as it is now.
pub(super) fn is_meant_for(event: &Event, task: &Task, now: Timestamp) -> bool {
    task.deadline >= now
        && match event {
            Event::ChangePriority { priority, .. } => !task.ever_resolved && task.priority != *priority,
            _ => !task.state().is_resolved(),
        }
}
