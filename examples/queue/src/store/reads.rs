//! What is only looked at. The statements are the same on both databases.

use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;

use super::sql::{Arg, PAGE_BYTES, Row, with_definitions};
use super::{Store, StoreError, rows};
use crate::group::Group;
use crate::task::{Task, Worker};

const TASK: &str =
    "SELECT t.*, d.definition FROM tasks t JOIN definitions d ON d.task_id = t.task_id WHERE t.task_id = $1";

const STATUS: &str = "SELECT * FROM tasks WHERE task_id = $1";

const GROUP: &str =
    "SELECT task_group_id, scheduler_id, expires, sealed, unresolved FROM task_groups WHERE task_group_id = $1";

const MEMBERS: &str = with_definitions!(
    "SELECT * FROM tasks WHERE task_group_id = $1 AND task_id > $2 ORDER BY task_id LIMIT $3",
    ordered by "task_id", within "$4"
);

const DEPENDENTS: &str = with_definitions!(
    "SELECT t.* FROM dependencies e JOIN tasks t ON t.task_id = e.dependent_id
        WHERE e.required_id = $1 AND e.dependent_id > $2 ORDER BY e.dependent_id LIMIT $3",
    ordered by "task_id", within "$4"
);

const PENDING: &str = with_definitions!(
    "SELECT * FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2 AND position > $3
        ORDER BY position LIMIT $4",
    ordered by "position", within "$5"
);

const CLAIMED: &str = with_definitions!(
    "SELECT * FROM tasks WHERE task_queue_id = $1 AND claimed IS NOT NULL AND taken_until > $2
        AND (claimed > $3 OR (claimed = $3 AND task_id > $4))
        ORDER BY claimed, task_id LIMIT $5",
    ordered by "claimed, task_id", within "$6"
);

const COUNTS: &str = "SELECT
    (SELECT count(*) FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2) AS pending,
    (SELECT count(*) FROM tasks WHERE task_queue_id = $1 AND claimed IS NOT NULL AND taken_until > $2) AS claimed";

const EXPIRED_LEASES: &str = "SELECT * FROM tasks
    WHERE taken_until IS NOT NULL AND taken_until <= $1 AND deadline >= $1 ORDER BY taken_until LIMIT $2";

const NEXT_LEASE_END: &str = "SELECT taken_until AS next FROM tasks WHERE taken_until IS NOT NULL AND deadline >= $1
    ORDER BY taken_until LIMIT 1";

const OVERDUE: &str = "SELECT task_id FROM tasks WHERE is_open = 1 AND deadline < $1 ORDER BY deadline LIMIT $2";

const NEXT_DEADLINE: &str = "SELECT min(deadline) AS next FROM tasks WHERE is_open = 1";

/// A part of a list: cut where it has as many entries as were asked for, or where the definitions become too many bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// The entries; at least one, unless there are none.
    pub rows: Vec<T>,
    /// Does the list go on after the last of them?
    pub more: bool,
}

impl<T> Part<T> {
    /// Reads rows of [`with_definitions`], which may be one more than are wanted.
    fn read(found: &[Row], limit: u32, read: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Self, StoreError> {
        let before_cut = found.first().map_or(Ok(0), |row| row.number("found"))?;
        let rows = found.iter().take(limit as usize).map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { more: rows.len() < before_cut as usize, rows })
    }
}

/// One more than are wanted, to know whether the list goes on.
fn and_one(limit: u32) -> Arg<'static> {
    Arg::from(i64::from(limit) + 1)
}

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

fn pending_run(row: &Row) -> Result<PendingRun, StoreError> {
    let (task, definition) = with_definition(row)?;
    Ok(PendingRun {
        task_id: task.task_id,
        run_id: task.last_run().ok_or(StoreError::Lost("a run"))?,
        inserted: task.runs.last().ok_or(StoreError::Lost("a run"))?.scheduled,
        priority: task.priority,
        definition,
        position: row.int("position")?,
    })
}

fn claimed_run(row: &Row) -> Result<ClaimedRun, StoreError> {
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
}

fn first_time(found: &[Row]) -> Result<Option<Timestamp>, StoreError> {
    Ok(found.first().map(|row| row.time_or_null("next")).transpose()?.flatten())
}

impl Store {
    /// A task with its definition.
    ///
    /// # Errors
    /// The store's.
    pub async fn task(&self, task_id: TaskId) -> Result<Option<(Task, String)>, StoreError> {
        let found = self.reader().await?.rows(TASK, &[Arg::from(task_id.to_string())]).await?;
        found.first().map(with_definition).transpose()
    }

    /// A task without its definition.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, task_id: TaskId) -> Result<Option<Task>, StoreError> {
        let found = self.reader().await?.rows(STATUS, &[Arg::from(task_id.to_string())]).await?;
        found.first().map(rows::task).transpose()
    }

    /// Tasks by their ids, in the order of these; those that do not exist are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn tasks(&self, ids: &[String]) -> Result<Part<(Task, String)>, StoreError> {
        let list = serde_json::to_string(ids).expect("a list of texts");
        let args = [Arg::from(&list), Arg::from(PAGE_BYTES)];
        let found = self.reader().await?.rows(self.backend.dialect().tasks_by_id, &args).await?;
        Part::read(&found, u32::MAX, with_definition)
    }

    /// The same without the definitions.
    ///
    /// # Errors
    /// The store's.
    pub async fn statuses(&self, ids: &[String]) -> Result<Vec<Task>, StoreError> {
        let list = serde_json::to_string(ids).expect("a list of texts");
        let found = self.reader().await?.rows(self.backend.dialect().statuses_by_id, &[Arg::from(&list)]).await?;
        found.iter().map(rows::task).collect()
    }

    /// A task group.
    ///
    /// # Errors
    /// The store's.
    pub async fn group(&self, id: TaskId) -> Result<Option<Group>, StoreError> {
        let found = self.reader().await?.rows(GROUP, &[Arg::from(id.to_string())]).await?;
        found.first().map(rows::group).transpose()
    }

    /// Tasks of a group by id, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn members(&self, group: TaskId, after: &str, limit: u32) -> Result<Part<(Task, String)>, StoreError> {
        let args = [Arg::from(group.to_string()), Arg::from(after), and_one(limit), Arg::from(PAGE_BYTES)];
        Part::read(&self.reader().await?.rows(MEMBERS, &args).await?, limit, with_definition)
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
    ) -> Result<Part<(Task, String)>, StoreError> {
        let args = [Arg::from(task_id.to_string()), Arg::from(after), and_one(limit), Arg::from(PAGE_BYTES)];
        Part::read(&self.reader().await?.rows(DEPENDENTS, &args).await?, limit, with_definition)
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
    ) -> Result<Part<PendingRun>, StoreError> {
        let args = [Arg::from(task_queue_id), now.into(), Arg::from(after), and_one(limit), Arg::from(PAGE_BYTES)];
        Part::read(&self.reader().await?.rows(PENDING, &args).await?, limit, pending_run)
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
    ) -> Result<Part<ClaimedRun>, StoreError> {
        let args = [
            Arg::from(task_queue_id),
            now.into(),
            Arg::from(after.claimed),
            Arg::from(&after.task_id),
            and_one(limit),
            Arg::from(PAGE_BYTES),
        ];
        Part::read(&self.reader().await?.rows(CLAIMED, &args).await?, limit, claimed_run)
    }

    /// How much there is to do in a task queue; nothing in one that nobody knows.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(&self, task_queue_id: &str, now: Timestamp) -> Result<Counts, StoreError> {
        let found = self.reader().await?.rows(COUNTS, &[Arg::from(task_queue_id), now.into()]).await?;
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
        let found = self.reader().await?.rows(statement, &[Arg::from(&list), now.into()]).await?;
        Ok(found.iter().map(|row| row.text("task_queue_id")).collect::<Result<_, _>>()?)
    }

    /// Leases that have ended, of tasks whose deadline has not passed.
    ///
    /// # Errors
    /// The store's.
    pub async fn expired_leases(&self, now: Timestamp, limit: u32) -> Result<Vec<LeaseEnd>, StoreError> {
        let found = self.reader().await?.rows(EXPIRED_LEASES, &[now.into(), limit.into()]).await?;
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
        let found = self.reader().await?.rows(OVERDUE, &[before.into(), limit.into()]).await?;
        Ok(found.iter().map(|row| row.parsed("task_id")).collect::<Result<_, _>>()?)
    }

    /// The earliest deadline of an unresolved task.
    ///
    /// # Errors
    /// The store's.
    pub async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        first_time(&self.reader().await?.rows(NEXT_DEADLINE, &[]).await?)
    }
}
