//! One transaction over many requests: load what they touch, let the life cycle decide, write what came of it.
//!
//! All requests of a batch share each statement, so that their number, not that of the requests, is what a commit
//! costs. Tasks are locked when they are loaded and kept here until they are written; requests for the same task see
//! one another's changes, in order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, hours};

use super::groups::is_meant_for;
use super::outbox::write_messages;
use super::positions::Positions;
use super::rows::{self, Kept, TaskRow};
use super::sql::{Arg, Dialect, PAGE_BYTES, Row, Sql, Together};
use super::writes::{Edge, Recent, Writes, json_list, list};
use super::{ApplyRefusal, Claimed, CreateRefusal, StoreError};
use crate::definition::{self, NewTask};
use crate::group::Group;
use crate::messages::{self, Message};
use crate::task::{Announcement, Effect, Event, Outcome, Requires, Resolution, State, Task, Worker};

/// How much longer than its tasks a group is kept.
const GROUP_OUTLIVES: std::time::Duration = hours(1);

/// So many claimers at once get as many bytes as one alone may have; more share what these get, or come once more.
const FULL_SHARES: usize = 8;

/// A request for runs of a task queue.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) task_queue_id: String,
    pub(super) worker: Worker,
    pub(super) count: u32,
    pub(super) now: Timestamp,
    pub(super) taken_until: Timestamp,
}

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

/// What the ends of tasks mean for a group.
#[derive(Serialize)]
struct Settling {
    id: TaskId,
    n: i64,
    /// Where the group was looked at: is it resolved now, and with which times?
    ends: i64,
    expires: Option<i64>,
    sealed: Option<i64>,
}

/// What new tasks mean for a group.
#[derive(Serialize)]
struct Joining<'a> {
    id: TaskId,
    scheduler: &'a str,
    expires: i64,
    added: i64,
}

fn joining<'a>(new: impl Iterator<Item = &'a NewTask>) -> BTreeMap<TaskId, Joining<'a>> {
    let mut joining: BTreeMap<TaskId, Joining<'_>> = BTreeMap::new();
    for new in new {
        let expires = (new.task.expires + GROUP_OUTLIVES).as_millis();
        let id = new.task.task_group_id;
        let group = joining.entry(id).or_insert(Joining { id, scheduler: &new.task.scheduler_id, expires, added: 0 });
        group.added += 1;
        if group.scheduler == new.task.scheduler_id {
            group.expires = group.expires.max(expires);
        }
    }
    joining
}

/// Whether the new tasks of each group name the same scheduler; otherwise all but one have to be refused.
fn agree_on_schedulers(new: &[(&NewTask, Timestamp)]) -> bool {
    let groups = joining(new.iter().map(|(new, _)| *new));
    let agrees = |new: &NewTask| {
        groups.get(&new.task.task_group_id).is_some_and(|group| group.scheduler == new.task.scheduler_id)
    };
    new.iter().all(|(new, _)| agrees(new))
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
        for row in self.sql.rows(statement, &[Arg::Text(&json_list(&missing))]).await? {
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

    /// Creates tasks; see [`Store::create`](super::Store::create).
    pub(super) async fn create(
        &mut self,
        new: &[(&NewTask, Timestamp)],
    ) -> Result<Vec<Result<Task, CreateRefusal>>, StoreError> {
        if let Some(together) = self.unlocked {
            return self.create_at_once(together, new).await;
        }
        // Required tasks are locked with the new ones: whoever resolves one meanwhile waits, and then sees the edge.
        self.load(new.iter().flat_map(|(new, _)| new.dependencies.iter().copied().chain([new.task.task_id]))).await?;
        let known: BTreeSet<TaskId> =
            new.iter().map(|(new, _)| new.task.task_id).filter(|id| self.tasks.contains_key(id)).collect();
        let mut definitions = self.definitions(&known).await?;
        let mut groups = self.join_groups(new.iter().map(|(new, _)| *new), &known).await?;
        let mut left_out: BTreeMap<TaskId, i64> = BTreeMap::new();
        let mut answers = Vec::with_capacity(new.len());
        for (new, now) in new {
            let id = new.task.task_id;
            if let Some(text) = definitions.get(&id) {
                // Created before. The same once more is a success, also in a group that has been sealed since.
                if !known.contains(&id) {
                    *left_out.entry(new.task.task_group_id).or_default() += 1;
                }
                answers.push(if definition::same(text, &new.definition) {
                    Ok(self.repeat(id))
                } else {
                    Err(CreateRefusal::Exists(id))
                });
                continue;
            }
            let group = groups.get_mut(&new.task.task_group_id).ok_or(StoreError::Lost("a task group"))?;
            match self.check(new, group) {
                Ok(satisfied) => {
                    definitions.insert(id, new.definition.clone());
                    answers.push(Ok(self.insert(new, &satisfied, *now)));
                }
                Err(refusal) => {
                    *left_out.entry(new.task.task_group_id).or_default() += 1;
                    answers.push(Err(refusal));
                }
            }
        }
        if !left_out.is_empty() {
            self.settle_groups(&left_out).await?;
        }
        self.flush().await?;
        Ok(answers)
    }

    /// Creates tasks that depend on nothing.
    async fn create_at_once(
        &mut self,
        together: &Together,
        new: &[(&NewTask, Timestamp)],
    ) -> Result<Vec<Result<Task, CreateRefusal>>, StoreError> {
        let independent = new.iter().all(|(new, _)| new.dependencies.is_empty());
        if !independent || !agree_on_schedulers(new) {
            return Err(StoreError::Surprise);
        }
        let groups = list(joining(new.iter().map(|(new, _)| *new)).values());
        let created = new.iter().map(|(new, now)| Ok(self.insert(new, &[], *now))).collect();
        let writes = Writes { groups, ..self.take_writes() };
        writes.create(self.sql, together).await?;
        Ok(created)
    }

    async fn definitions(&mut self, ids: &BTreeSet<TaskId>) -> Result<HashMap<TaskId, String>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.sql.rows(self.dialect.definitions, &[Arg::Text(&json_list(ids))]).await?;
        rows.iter().map(|row| Ok((row.task_id("task_id")?, row.text("definition")?))).collect()
    }

    /// Makes or finds the groups of new tasks, counting those tasks in; a task that is refused is taken out again.
    async fn join_groups(
        &mut self,
        new: impl Iterator<Item = &NewTask>,
        known: &BTreeSet<TaskId>,
    ) -> Result<HashMap<TaskId, Group>, StoreError> {
        let joining = joining(new.filter(|new| !known.contains(&new.task.task_id)));
        if joining.is_empty() {
            return Ok(HashMap::new());
        }
        let list = json_list(&joining.values().collect::<Vec<_>>());
        let rows = self.sql.rows(self.dialect.join_groups, &[Arg::Text(&list)]).await?;
        rows.iter().map(|row| rows::group(row).map(|group| (group.task_group_id, group))).collect()
    }

    /// May the task be created in the group? Gives which of its dependencies are done.
    fn check(&self, new: &NewTask, group: &Group) -> Result<Vec<bool>, CreateRefusal> {
        if group.scheduler_id != new.task.scheduler_id {
            return Err(CreateRefusal::OtherScheduler {
                group: group.task_group_id,
                scheduler_id: group.scheduler_id.clone(),
            });
        }
        if group.sealed.is_some() {
            return Err(CreateRefusal::Sealed(group.task_group_id));
        }
        let mut missing = Vec::new();
        let mut expiring = Vec::new();
        let mut satisfied = Vec::with_capacity(new.dependencies.len());
        for id in &new.dependencies {
            match self.task(*id) {
                // A task may wait for itself, until somebody schedules it.
                _ if *id == new.task.task_id => satisfied.push(false),
                None => missing.push(*id),
                Some(required) if required.expires < new.task.deadline => expiring.push(*id),
                Some(required) => {
                    satisfied.push(required.resolution().is_some_and(|how| new.task.requires.satisfied_by(how)))
                }
            }
        }
        if missing.is_empty() && expiring.is_empty() {
            Ok(satisfied)
        } else {
            Err(CreateRefusal::Dependencies { missing, expiring })
        }
    }

    fn insert(&mut self, new: &NewTask, satisfied: &[bool], now: Timestamp) -> Task {
        let id = new.task.task_id;
        let unsatisfied = satisfied.iter().filter(|done| !**done).count();
        let task = Task { unsatisfied: u32::try_from(unsatisfied).unwrap_or(u32::MAX), ..new.task.clone() };
        self.messages.push(messages::announce(&task, &Announcement::Defined));
        self.inserted.push((id, new.definition.clone()));
        for (required, done) in new.dependencies.iter().zip(satisfied) {
            let requires = rows::requires_to_text(task.requires);
            self.edges.push(Edge { required: *required, dependent: id, requires, satisfied: i64::from(*done) });
            if let Some(required) = self.tasks.get_mut(required).filter(|required| !required.awaited) {
                required.awaited = true;
                self.dirty.insert(required.task.task_id);
            }
        }
        // A task may wait for itself.
        let awaited = new.dependencies.contains(&id);
        self.tasks.insert(id, Kept { task: task.clone(), position: None, awaited, version: None });
        if unsatisfied > 0 {
            return task;
        }
        // A deadline that has passed since the check is none of the creator's business any more.
        self.apply_one(id, Event::Schedule, now).unwrap_or(task)
    }

    /// Tells once more what creating the task told, for those who have missed it.
    fn repeat(&mut self, id: TaskId) -> Task {
        let task = self.tasks[&id].task.clone();
        let before = Task { runs: Vec::new(), ..task.clone() };
        self.messages.push(messages::announce(&before, &Announcement::Defined));
        if task.runs.len() == 1 && task.state() == State::Pending {
            self.messages.push(messages::announce(&task, &Announcement::Pending(0.into())));
        }
        task
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
        let rows = self.sql.rows(self.dialect.satisfy, &[Arg::Text(&json_list(&list))]).await?;
        let dependents = rows.iter().map(|row| row.task_id("dependent_id")).collect::<Result<Vec<_>, _>>()?;
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

    async fn settle_groups(&mut self, counts: &BTreeMap<TaskId, i64>) -> Result<Vec<Group>, StoreError> {
        let list: Vec<_> = counts.iter().map(|(id, n)| json!({"id": id, "n": n})).collect();
        let rows = self.sql.rows(self.dialect.settle_groups, &[Arg::Text(&json_list(&list))]).await?;
        rows.iter().map(rows::group).collect()
    }

    /// Takes waiting runs of one task queue and deals them to those who want some, first come, first served; to each no more
    /// than [`PAGE_BYTES`] of definitions, unless a single one is larger. What is left goes on waiting, and
    /// [`finish`](Self::finish) tells of it like of all that waits, after it has written what was taken.
    pub(super) async fn claim(&mut self, wanted: &[&Wanted]) -> Result<Vec<Vec<Claimed>>, StoreError> {
        let Some(first) = wanted.first() else { return Ok(Vec::new()) };
        let total: i64 = wanted.iter().map(|wanted| i64::from(wanted.count)).sum();
        let bytes = PAGE_BYTES * i64::try_from(wanted.len().min(FULL_SHARES)).unwrap_or(1);
        let args = [Arg::Text(&first.task_queue_id), first.now.into(), total.into(), bytes.into()];
        let mut picked = Vec::new();
        let statement = self.unlocked.map_or(self.dialect.pick, |together| together.spot);
        for row in self.sql.rows(statement, &args).await? {
            let kept = self.read(&row)?;
            if let Some(definition) = row.text_or_null("definition")? {
                picked.push((kept.task.task_id, definition));
            }
            self.tasks.insert(kept.task.task_id, kept);
        }
        let mut picked = picked.into_iter().peekable();
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let mut claimed = Vec::new();
            let mut room = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
            while claimed.len() < wanted.count as usize {
                let alone = claimed.is_empty();
                let Some((id, definition)) = picked.next_if(|(_, text)| alone || text.len() <= room) else { break };
                room = room.saturating_sub(definition.len());
                let run = self.tasks[&id].task.last_run().unwrap_or_default();
                let claim = Event::Claim { run, worker: wanted.worker.clone(), taken_until: wanted.taken_until };
                // Its deadline may just have passed.
                let Ok(task) = self.apply_one(id, claim, wanted.now) else { continue };
                let Worker { group, id: worker } = wanted.worker.clone();
                self.recent.push(Recent { queue: wanted.task_queue_id.clone(), group, worker, id, run });
                claimed.push(Claimed { task, run, definition });
            }
            answers.push(claimed);
        }
        Ok(answers)
    }

    /// Writes what has changed so far.
    async fn flush(&mut self) -> Result<(), StoreError> {
        if let Some(together) = self.unlocked {
            return self.flush_if_same(together).await;
        }
        let d = self.dialect;
        let settled = self.take_writes().write(self.sql, d).await?;
        // Whoever ends the last unresolved task says that the group is resolved.
        let groups = settled.iter().map(rows::group).collect::<Result<Vec<_>, _>>()?;
        let resolved: Vec<Message> =
            groups.iter().filter(|group| group.unresolved <= 0).map(messages::group_resolved).collect();
        if !resolved.is_empty() {
            write_messages(self.sql, d, &resolved).await?;
        }
        Ok(())
    }

    /// Writes what has changed since it was looked at, unless somebody else has changed it too.
    async fn flush_if_same(&mut self, together: &Together) -> Result<(), StoreError> {
        for (id, n) in self.settled() {
            let group = self.groups.get_mut(&id).ok_or(StoreError::Surprise)?;
            group.unresolved -= n;
            if group.unresolved <= 0 {
                self.messages.push(messages::group_resolved(group));
            }
        }
        let changed = self.dirty.len();
        self.take_writes().write_if_same(self.sql, together, changed).await
    }

    /// How many tasks of which groups have ended that never had before.
    fn settled(&self) -> BTreeMap<TaskId, i64> {
        let mut groups: BTreeMap<TaskId, i64> = BTreeMap::new();
        for ended in &self.ended {
            *groups.entry(ended.group).or_default() += i64::from(ended.first);
        }
        groups
    }

    fn settling(&self, id: TaskId, n: i64) -> Settling {
        let group = self.groups.get(&id);
        Settling {
            id,
            n,
            ends: i64::from(group.is_some_and(|group| group.unresolved <= 0)),
            expires: group.map(|group| group.expires.as_millis()),
            sealed: group.and_then(|group| group.sealed).map(Timestamp::as_millis),
        }
    }

    fn take_writes(&mut self) -> Writes {
        let inserted = std::mem::take(&mut self.inserted);
        let new: HashSet<TaskId> = inserted.iter().map(|(id, _)| *id).collect();
        let dirty = std::mem::take(&mut self.dirty);
        let messages = std::mem::take(&mut self.messages);
        self.told_events |= !messages.is_empty();
        let groups: Vec<Settling> = self.settled().into_iter().map(|(id, n)| self.settling(id, n)).collect();
        self.ended.clear();
        Writes {
            tasks: list(inserted.iter().map(|(id, _)| TaskRow::of(&self.tasks[id]))),
            definitions: list(inserted.iter().map(|(id, definition)| json!({"id": id, "definition": definition}))),
            edges: list(std::mem::take(&mut self.edges).iter()),
            changed: list(dirty.iter().filter(|id| !new.contains(id)).map(|id| TaskRow::of(&self.tasks[id]))),
            recent: list(std::mem::take(&mut self.recent).iter()),
            groups: list(groups.into_iter()),
            messages: list(messages.iter().map(rows::MessageRow::of)),
        }
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
