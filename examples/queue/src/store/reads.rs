//! What is only looked at. The statements are the same on both databases.

use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;

use super::sql::{Arg, Row};
use super::{Store, StoreError, rows};
use crate::group::Group;
use crate::task::{Task, Worker};

const TASK: &str =
    "SELECT t.*, d.definition FROM tasks t JOIN definitions d ON d.task_id = t.task_id WHERE t.task_id = $1";

const STATUS: &str = "SELECT * FROM tasks WHERE task_id = $1";

const GROUP: &str =
    "SELECT task_group_id, scheduler_id, expires, sealed, unresolved FROM task_groups WHERE task_group_id = $1";

const MEMBERS: &str = "SELECT t.*, d.definition FROM tasks t JOIN definitions d ON d.task_id = t.task_id
    WHERE t.task_group_id = $1 AND t.task_id > $2 ORDER BY t.task_id LIMIT $3";

const DEPENDENTS: &str = "SELECT t.*, d.definition FROM dependencies e
    JOIN tasks t ON t.task_id = e.dependent_id JOIN definitions d ON d.task_id = t.task_id
    WHERE e.required_id = $1 AND e.dependent_id > $2 ORDER BY e.dependent_id LIMIT $3";

const PENDING: &str = "SELECT t.*, d.definition FROM tasks t JOIN definitions d ON d.task_id = t.task_id
    WHERE t.task_queue_id = $1 AND t.position IS NOT NULL AND t.deadline > $2 AND t.position > $3 ORDER BY t.position LIMIT $4";

const CLAIMED: &str = "SELECT t.*, d.definition FROM tasks t JOIN definitions d ON d.task_id = t.task_id
    WHERE t.task_queue_id = $1 AND t.claimed IS NOT NULL AND t.taken_until > $2
        AND (t.claimed > $3 OR (t.claimed = $3 AND t.task_id > $4))
    ORDER BY t.claimed, t.task_id LIMIT $5";

const COUNTS: &str = "SELECT
    (SELECT count(*) FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2) AS pending,
    (SELECT count(*) FROM tasks WHERE task_queue_id = $1 AND claimed IS NOT NULL AND taken_until > $2) AS claimed";

const EXPIRED_LEASES: &str = "SELECT * FROM tasks
    WHERE taken_until IS NOT NULL AND taken_until <= $1 AND deadline >= $1 ORDER BY taken_until LIMIT $2";

const NEXT_LEASE_END: &str = "SELECT taken_until AS next FROM tasks WHERE taken_until IS NOT NULL AND deadline >= $1
    ORDER BY taken_until LIMIT 1";

const OVERDUE: &str = "SELECT task_id FROM tasks WHERE is_open = 1 AND deadline < $1 ORDER BY deadline LIMIT $2";

const NEXT_DEADLINE: &str = "SELECT min(deadline) AS next FROM tasks WHERE is_open = 1";

/// A run that waits for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingRun {
    /// Which task.
    pub task_id: TaskId,
    /// Which run.
    pub run_id: RunId,
    /// Since when.
    pub inserted: Timestamp,
    /// The task's priority now.
    pub priority: taskcluster_core::ids::Priority,
    /// The text of the definition.
    pub definition: String,
    /// Where it stands in the list.
    pub position: i64,
}

/// A run that a worker holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedRun {
    /// Which task.
    pub task_id: TaskId,
    /// Which run.
    pub run_id: RunId,
    /// Who holds it.
    pub worker: Worker,
    /// Since when.
    pub claimed: Timestamp,
    /// The task's priority now.
    pub priority: taskcluster_core::ids::Priority,
    /// The text of the definition.
    pub definition: String,
}

/// Where a list of claimed runs goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time of the last claim that was listed.
    pub claimed: i64,
    /// The task of the last claim that was listed.
    pub task_id: String,
}

/// How much there is to do in a task queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Runs that wait.
    pub pending: u64,
    /// Runs that workers hold.
    pub claimed: u64,
}

/// A lease that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseEnd {
    /// Which task.
    pub task_id: TaskId,
    /// Which run.
    pub run_id: RunId,
    /// When it ended.
    pub taken_until: Timestamp,
}

fn with_definition(row: &Row) -> Result<(Task, String), StoreError> {
    Ok((rows::task(row)?, row.text("definition")?))
}

fn first_time(found: &[Row]) -> Result<Option<Timestamp>, StoreError> {
    found.first().map_or(Ok(None), |row| row.time_or_null("next"))
}

impl Store {
    /// A task with its definition.
    ///
    /// # Errors
    /// The store's.
    pub async fn task(&self, task_id: TaskId) -> Result<Option<(Task, String)>, StoreError> {
        let found = self.reader().await?.rows(TASK, &[Arg::Text(&task_id.to_string())]).await?;
        found.first().map(with_definition).transpose()
    }

    /// A task without its definition.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, task_id: TaskId) -> Result<Option<Task>, StoreError> {
        let found = self.reader().await?.rows(STATUS, &[Arg::Text(&task_id.to_string())]).await?;
        found.first().map(rows::task).transpose()
    }

    /// Tasks by their ids; those that do not exist are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn tasks(&self, ids: &[String]) -> Result<Vec<(Task, String)>, StoreError> {
        let list = serde_json::to_string(ids).expect("a list of texts");
        let found = self.reader().await?.rows(self.backend.dialect().tasks_by_id, &[Arg::Text(&list)]).await?;
        found.iter().map(with_definition).collect()
    }

    /// A task group.
    ///
    /// # Errors
    /// The store's.
    pub async fn group(&self, id: TaskId) -> Result<Option<Group>, StoreError> {
        let found = self.reader().await?.rows(GROUP, &[Arg::Text(&id.to_string())]).await?;
        found.first().map(rows::group).transpose()
    }

    /// Tasks of a group by id, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn members(&self, group: TaskId, after: &str, limit: u32) -> Result<Vec<(Task, String)>, StoreError> {
        let args = [Arg::Text(&group.to_string()), Arg::Text(after), Arg::Int(limit.into())];
        self.reader().await?.rows(MEMBERS, &args).await?.iter().map(with_definition).collect()
    }

    /// Tasks that depend on a task by id, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn dependents(
        &self,
        task_id: TaskId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(Task, String)>, StoreError> {
        let args = [Arg::Text(&task_id.to_string()), Arg::Text(after), Arg::Int(limit.into())];
        self.reader().await?.rows(DEPENDENTS, &args).await?.iter().map(with_definition).collect()
    }

    /// Runs that wait in a task queue, oldest first, those after the given position.
    ///
    /// # Errors
    /// The store's.
    pub async fn pending(
        &self,
        task_queue_id: &str,
        after: i64,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<PendingRun>, StoreError> {
        let args = [Arg::Text(task_queue_id), now.into(), Arg::Int(after), Arg::Int(limit.into())];
        let found = self.reader().await?.rows(PENDING, &args).await?;
        found
            .iter()
            .map(|row| {
                let (task, definition) = with_definition(row)?;
                Ok(PendingRun {
                    task_id: task.task_id,
                    run_id: task.last_run().ok_or(StoreError::Lost("a run"))?,
                    inserted: task.runs.last().ok_or(StoreError::Lost("a run"))?.scheduled,
                    priority: task.priority,
                    definition,
                    position: row.int("position")?,
                })
            })
            .collect()
    }

    /// Runs of a task queue that workers hold, by the time of the claim, those after the given place.
    ///
    /// # Errors
    /// The store's.
    pub async fn claimed(
        &self,
        task_queue_id: &str,
        after: &Place,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<ClaimedRun>, StoreError> {
        let args = [
            Arg::Text(task_queue_id),
            now.into(),
            Arg::Int(after.claimed),
            Arg::Text(&after.task_id),
            Arg::Int(limit.into()),
        ];
        let found = self.reader().await?.rows(CLAIMED, &args).await?;
        found
            .iter()
            .map(|row| {
                let (task, definition) = with_definition(row)?;
                let claim = task.claim().ok_or(StoreError::Lost("a claim"))?;
                Ok(ClaimedRun {
                    task_id: task.task_id,
                    run_id: task.last_run().ok_or(StoreError::Lost("a run"))?,
                    worker: claim.worker.clone(),
                    claimed: claim.started,
                    priority: task.priority,
                    definition,
                })
            })
            .collect()
    }

    /// How much there is to do in a task queue; nothing in one that nobody knows.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(&self, task_queue_id: &str, now: Timestamp) -> Result<Counts, StoreError> {
        let found = self.reader().await?.rows(COUNTS, &[Arg::Text(task_queue_id), now.into()]).await?;
        let row = found.first().ok_or(StoreError::Lost("a count"))?;
        Ok(Counts { pending: row.int("pending")?.unsigned_abs(), claimed: row.int("claimed")?.unsigned_abs() })
    }

    /// Those of the given task queues in which runs wait.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_work(&self, queues: &[String], now: Timestamp) -> Result<Vec<String>, StoreError> {
        let list = serde_json::to_string(queues).expect("a list of texts");
        let statement = self.backend.dialect().with_work;
        let found = self.reader().await?.rows(statement, &[Arg::Text(&list), now.into()]).await?;
        found.iter().map(|row| row.text("task_queue_id")).collect()
    }

    /// Leases that have ended, of tasks whose deadline has not passed.
    ///
    /// # Errors
    /// The store's.
    pub async fn expired_leases(&self, now: Timestamp, limit: u32) -> Result<Vec<LeaseEnd>, StoreError> {
        let found = self.reader().await?.rows(EXPIRED_LEASES, &[now.into(), Arg::Int(limit.into())]).await?;
        found
            .iter()
            .map(|row| {
                let task = rows::task(row)?;
                Ok(LeaseEnd {
                    task_id: task.task_id,
                    run_id: task.last_run().ok_or(StoreError::Lost("a run"))?,
                    taken_until: row.time("taken_until")?,
                })
            })
            .collect()
    }

    /// When the next lease ends.
    ///
    /// # Errors
    /// The store's.
    pub async fn next_lease_end(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        first_time(&self.reader().await?.rows(NEXT_LEASE_END, &[now.into()]).await?)
    }

    /// Unresolved tasks whose deadline was before the given time.
    ///
    /// # Errors
    /// The store's.
    pub async fn overdue(&self, before: Timestamp, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        let found = self.reader().await?.rows(OVERDUE, &[before.into(), Arg::Int(limit.into())]).await?;
        found.iter().map(|row| row.task_id("task_id")).collect()
    }

    /// The earliest deadline of an unresolved task.
    ///
    /// # Errors
    /// The store's.
    pub async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        first_time(&self.reader().await?.rows(NEXT_DEADLINE, &[]).await?)
    }
}
