//! What a batch came to is written: with the locks that are held, or with one statement if nothing has changed since
//! it was looked at.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::Unit;
use crate::group::Group;
use crate::messages::{self, Message};
use crate::store::StoreError;
use crate::store::outbox::write_messages;
use crate::store::rows::{self, TaskRow};
use crate::store::sql::{Arg, Together};
use crate::store::writes::{Writes, json_list, list};

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

impl Unit<'_> {
    /// Writes what has changed so far.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
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

    pub(super) fn take_writes(&mut self) -> Writes {
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

    pub(super) async fn settle_groups(&mut self, counts: &BTreeMap<TaskId, i64>) -> Result<Vec<Group>, StoreError> {
        let list: Vec<_> = counts.iter().map(|(id, n)| json!({"id": id, "n": n})).collect();
        let rows = self.sql.rows(self.dialect.settle_groups, &[Arg::from(&json_list(&list))]).await?;
        rows.iter().map(rows::group).collect()
    }
}
