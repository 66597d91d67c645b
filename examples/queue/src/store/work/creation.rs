//! New tasks, and what they mean for their groups and for those that they depend on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, hours};

use super::Unit;
use crate::definition::{self, NewTask};
use crate::group::Group;
use crate::messages;
use crate::store::rows::{self, Kept};
use crate::store::sql::{Arg, Together};
use crate::store::writes::{Edge, Writes, json_list, list};
use crate::store::{CreateRefusal, StoreError};
use crate::task::{Announcement, Event, State, Task};

/// How much longer than its tasks a group is kept.
const GROUP_OUTLIVES: std::time::Duration = hours(1);

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

impl Unit<'_> {
    /// Creates tasks; see [`Store::create`](crate::store::Store::create).
    pub(in crate::store) async fn create(
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
        let rows = self.sql.rows(self.dialect.definitions, &[Arg::from(&json_list(ids))]).await?;
        rows.iter().map(|row| Ok((row.parsed("task_id")?, row.text("definition")?))).collect()
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
        let rows = self.sql.rows(self.dialect.join_groups, &[Arg::from(&list)]).await?;
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
}
