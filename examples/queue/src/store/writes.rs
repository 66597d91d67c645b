//! What a batch writes, as the arguments of as few statements as possible.

use serde::Serialize;
use taskcluster_core::ids::{RunId, TaskId};

use super::StoreError;
use super::sql::{Arg, Dialect, Row, Sql, Together};

/// A run that a worker has claimed.
#[derive(Serialize)]
pub(super) struct Recent {
    pub(super) queue: String,
    pub(super) group: String,
    pub(super) worker: String,
    pub(super) id: TaskId,
    pub(super) run: RunId,
}

/// A dependency.
#[derive(Serialize)]
pub(super) struct Edge {
    pub(super) required: TaskId,
    pub(super) dependent: TaskId,
    pub(super) requires: &'static str,
    pub(super) satisfied: i64,
}

pub(super) fn json_list<T: Serialize>(list: &T) -> String {
    serde_json::to_string(list).expect("rows are plain data")
}

/// Rows to be written, each kind as the JSON argument of its statement; nothing where there are none.
pub(super) struct Writes {
    pub(super) tasks: Option<String>,
    pub(super) definitions: Option<String>,
    pub(super) edges: Option<String>,
    pub(super) changed: Option<String>,
    pub(super) recent: Option<String>,
    /// As `settle_groups` takes them; for new tasks as `join_groups` does.
    pub(super) groups: Option<String>,
    pub(super) messages: Option<String>,
}

pub(super) fn list<T: Serialize>(rows: impl Iterator<Item = T>) -> Option<String> {
    let rows: Vec<T> = rows.collect();
    (!rows.is_empty()).then(|| json_list(&rows))
}

fn or_none(list: &Option<String>) -> Arg<'_> {
    Arg::from(list.as_deref().unwrap_or("[]"))
}

impl Writes {
    /// Writes them within a transaction. Gives the groups that were settled.
    pub(super) async fn write(self, sql: &mut dyn Sql, d: &Dialect) -> Result<Vec<Row>, StoreError> {
        match &d.together {
            Some(together) => self.write_together(sql, d, together).await,
            None => self.write_each(sql, d).await,
        }
    }

    /// Writes new tasks and their groups as [`Together::create`] does.
    pub(super) async fn create(self, sql: &mut dyn Sql, together: &Together) -> Result<(), StoreError> {
        let args = [&self.groups, &self.tasks, &self.definitions, &self.messages].map(or_none);
        sql.run(together.create, &args).await?;
        Ok(())
    }

    /// Writes changes as [`Together::changes_if_same`] does, `changed` tasks among them.
    pub(super) async fn write_if_same(
        self,
        sql: &mut dyn Sql,
        together: &Together,
        changed: usize,
    ) -> Result<(), StoreError> {
        let changes = [&self.changed, &self.recent, &self.groups, &self.messages];
        if changes.iter().all(|rows| rows.is_none()) {
            return Ok(());
        }
        let [tasks, recent, groups, messages] = changes.map(or_none);
        let changed = Arg::from(i64::try_from(changed).unwrap_or(i64::MAX));
        sql.rows(together.changes_if_same, &[tasks, recent, groups, messages, changed]).await?;
        Ok(())
    }

    /// One statement for each kind of row.
    async fn write_each(&self, sql: &mut dyn Sql, d: &Dialect) -> Result<Vec<Row>, StoreError> {
        let steps = [
            (d.insert_tasks, &self.tasks),
            (d.insert_definitions, &self.definitions),
            (d.insert_dependencies, &self.edges),
            (d.update_tasks, &self.changed),
            (d.insert_recent, &self.recent),
            (d.insert_outbox, &self.messages),
        ];
        for (statement, rows) in steps {
            if let Some(rows) = rows {
                sql.run(statement, &[Arg::from(rows)]).await?;
            }
        }
        match &self.groups {
            Some(groups) => Ok(sql.rows(d.settle_groups, &[Arg::from(groups)]).await?),
            None => Ok(Vec::new()),
        }
    }

    /// As few statements as possible: each is a round trip.
    async fn write_together(
        mut self,
        sql: &mut dyn Sql,
        d: &Dialect,
        together: &Together,
    ) -> Result<Vec<Row>, StoreError> {
        if let Some(edges) = &self.edges {
            sql.run(d.insert_dependencies, &[Arg::from(edges)]).await?;
        }
        if self.tasks.is_some() {
            let messages = self.messages.take();
            sql.run(together.new, &[or_none(&self.tasks), or_none(&self.definitions), or_none(&messages)]).await?;
        }
        let changes = [&self.changed, &self.recent, &self.groups, &self.messages];
        if changes.iter().all(|rows| rows.is_none()) {
            return Ok(Vec::new());
        }
        Ok(sql.rows(together.changes, &changes.map(or_none)).await?)
    }
}
