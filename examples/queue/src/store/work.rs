//! One transaction over many requests: load what they touch, let the life cycle decide, write what came of it.
//!
//! All requests of a batch share each statement, so that their number, not that of the requests, is what a commit
//! costs. Tasks are locked when they are loaded and kept here until they are written; requests for the same task see
//! one another's changes, in order.

mod claiming;
mod creation;
mod writing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::groups::is_meant_for;
use super::positions::Positions;
use super::rows::{self, Kept};
use super::sql::{Arg, Dialect, Row, Sql, Together};
use super::writes::{Edge, Recent, json_list};
use super::{ApplyRefusal, StoreError};
use crate::group::Group;
use crate::messages::{self, Message};
use crate::task::{Effect, Event, Outcome, Requires, Resolution, State, Task};

pub(super) use self::claiming::Wanted;

struct Ended {
    task_id: TaskId,
    group: TaskId,
    resolution: Resolution,
    /// Never resolved before: it counts for its group.
    first: bool,
    now: Timestamp,
}

/// What a batch has loaded and is about to write.
pub(super) struct Unit<'c> {
    sql: &'c mut dyn Sql,
    dialect: &'static Dialect,
    positions: &'c Positions,
    /// Given when nothing is locked: then tasks are looked at, and one statement writes if they are the same still.
    unlocked: Option<&'static Together>,
    tasks: HashMap<TaskId, Kept>,
    /// The groups of the tasks that were looked at.
    groups: HashMap<TaskId, Group>,
    inserted: Vec<(TaskId, String)>,
    dirty: BTreeSet<TaskId>,
    edges: Vec<Edge>,
    recent: Vec<Recent>,
    ended: Vec<Ended>,
    messages: Vec<Message>,
    told_events: bool,
}

/// What has to be told once the transaction is committed.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Runs that wait, by task queue.
    pub(super) pending: BTreeMap<String, usize>,
    /// Are there new events to publish?
    pub(super) events: bool,
}

impl<'c> Unit<'c> {
    /// One that works inside a transaction, with locks.
    pub(super) fn new(sql: &'c mut dyn Sql, dialect: &'static Dialect, positions: &'c Positions) -> Self {
        Self {
            sql,
            dialect,
            positions,
            unlocked: None,
            tasks: HashMap::new(),
            groups: HashMap::new(),
            inserted: Vec::new(),
            dirty: BTreeSet::new(),
            edges: Vec::new(),
            recent: Vec::new(),
            ended: Vec::new(),
            messages: Vec::new(),
            told_events: false,
        }
    }

    /// One that locks nothing, for requests of one kind: it looks, and then writes with one statement that is a
    /// transaction of its own, half as many round trips. Any of its methods may fail with [`StoreError::Surprise`] or one
    /// of [`REFUSED`](super::sql::REFUSED): then nothing has happened, and it is to be done with locks.
    pub(super) fn unlocked(
        sql: &'c mut dyn Sql,
        dialect: &'static Dialect,
        together: &'static Together,
        positions: &'c Positions,
    ) -> Self {
        Self { unlocked: Some(together), ..Self::new(sql, dialect, positions) }
    }

    /// Loads the tasks that are not here yet, and locks them unless this is to be done without locks.
    pub(super) async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> Result<(), StoreError> {
        let missing: BTreeSet<TaskId> = ids.into_iter().filter(|id| !self.tasks.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let statement = self.unlocked.map_or(self.dialect.lock_tasks, |together| together.look);
        for row in self.sql.rows(statement, &[Arg::from(&json_list(&missing))]).await? {
            let kept = self.read(&row)?;
            if self.unlocked.is_some() {
                self.groups.extend(rows::group_of(&kept.task, &row)?.map(|group| (group.task_group_id, group)));
            }
            self.tasks.insert(kept.task.task_id, kept);
        }
        Ok(())
    }

    fn read(&self, row: &Row) -> Result<Kept, StoreError> {
        if self.unlocked.is_some() { rows::seen(row) } else { rows::kept(row) }
    }

    /// Changes that need more than one statement need locks.
    pub(super) fn with_locks(&self) -> Result<(), StoreError> {
        if self.unlocked.is_some() { Err(StoreError::Surprise) } else { Ok(()) }
    }

    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).map(|kept| &kept.task)
    }

    pub(super) fn sql(&mut self) -> &mut dyn Sql {
        self.sql
    }

    pub(super) fn publish(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Lets events happen to tasks, with all that follows; see [`Store::apply`](super::Store::apply).
    pub(super) async fn apply(
        &mut self,
        events: &[(TaskId, &Event, Timestamp)],
    ) -> Result<Vec<Result<Task, ApplyRefusal>>, StoreError> {
        self.load(events.iter().map(|(id, ..)| *id)).await?;
        let answers = events.iter().map(|(id, event, now)| self.apply_one(*id, (*event).clone(), *now)).collect();
        self.release_dependents().await?;
        self.flush().await?;
        Ok(answers)
    }

    /// Lets an event happen to those of the tasks that it is meant for, now that they are locked, and names them.
    pub(super) async fn apply_all(
        &mut self,
        ids: &[TaskId],
        event: &Event,
        now: Timestamp,
    ) -> Result<Vec<TaskId>, StoreError> {
        self.with_locks()?;
        self.load(ids.iter().copied()).await?;
        let is_meant = |id: &TaskId| self.task(*id).is_some_and(|task| is_meant_for(event, task, now));
        let events: Vec<_> = ids.iter().copied().filter(is_meant).map(|id| (id, event, now)).collect();
        let answers = self.apply(&events).await?;
        Ok(events.iter().zip(answers).filter(|(_, answer)| answer.is_ok()).map(|((id, ..), _)| *id).collect())
    }

    fn apply_one(&mut self, id: TaskId, event: Event, now: Timestamp) -> Result<Task, ApplyRefusal> {
        let kept = self.tasks.get_mut(&id).ok_or(ApplyRefusal::NoSuchTask(id))?;
        let Outcome { task, effects } = kept.task.apply(event, now)?;
        let first = !kept.task.ever_resolved;
        if task != kept.task {
            self.dirty.insert(id);
            kept.task = task.clone();
        }
        for effect in effects {
            match effect {
                Effect::Publish(what) => self.messages.push(messages::announce(&task, &what)),
                Effect::Enqueue => kept.position = Some(self.positions.next(now)),
                Effect::Resolved(resolution) => {
                    self.ended.push(Ended { task_id: id, group: task.task_group_id, resolution, first, now });
                }
            }
        }
        Ok(task)
    }

    /// Dependents of what has ended: an edge is satisfied once, and the last one schedules the dependent.
    async fn release_dependents(&mut self) -> Result<(), StoreError> {
        if !self.ended.iter().any(|ended| self.tasks[&ended.task_id].awaited) {
            return Ok(());
        }
        self.with_locks()?;
        let now = self.ended.iter().map(|ended| ended.now).max().ok_or(StoreError::Lost("the time"))?;
        // A task that failed and then completed counts as completed: the edges are sticky.
        let mut outcomes: BTreeMap<TaskId, bool> = BTreeMap::new();
        for ended in self.ended.iter().filter(|ended| self.tasks[&ended.task_id].awaited) {
            *outcomes.entry(ended.task_id).or_default() |= Requires::AllCompleted.satisfied_by(ended.resolution);
        }
        let list: Vec<_> =
            outcomes.iter().map(|(id, completed)| json!({"id": id, "completed": i64::from(*completed)})).collect();
        let rows = self.sql.rows(self.dialect.satisfy, &[Arg::from(&json_list(&list))]).await?;
        let dependents = rows.iter().map(|row| row.parsed("dependent_id")).collect::<Result<Vec<_>, _>>()?;
        self.load(dependents.iter().copied()).await?;
        for id in dependents {
            // The task itself may have expired before its edges are deleted.
            let Some(Kept { task, .. }) = self.tasks.get_mut(&id) else { continue };
            task.unsatisfied = task.unsatisfied.saturating_sub(1);
            self.dirty.insert(id);
            if task.unsatisfied == 0 && task.runs.is_empty() {
                // Past its deadline a task is not scheduled any more.
                let _ = self.apply_one(id, Event::Schedule, now);
            }
        }
        Ok(())
    }

    /// Writes what is left and says what is to be told after the commit.
    pub(super) async fn finish(mut self) -> Result<Told, StoreError> {
        self.flush().await?;
        // Also tasks that waited before: a claimer may have skipped them while we held them.
        let mut pending: BTreeMap<String, usize> = BTreeMap::new();
        let waiting = self.tasks.into_values().map(|kept| kept.task).filter(|task| task.state() == State::Pending);
        for task in waiting {
            *pending.entry(task.task_queue_id).or_default() += 1;
        }
        Ok(Told { pending, events: self.told_events })
    }
}
