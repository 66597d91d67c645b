//! SQLite: nothing to install, one process. One connection writes, several read; a commit is on disk when it returns.

use async_trait::async_trait;
use service_kit::outbox::Outbox;
use service_kit::store::{Database, OnSqlite, SqliteStore};

use super::sql::{Backend, Dialect, Sql, Work, claimable, with_definitions};
use super::{SCHEMA, StoreError};

#[derive(Debug)]
pub(super) struct Sqlite(SqliteStore);

impl Sqlite {
    /// Opens the database and brings it up to date.
    pub(super) async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self(SqliteStore::open(database, SCHEMA.service, SCHEMA.sqlite).await?))
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn lanes(&self) -> usize {
        1
    }

    async fn reader(&self) -> Result<Box<dyn Sql>, StoreError> {
        Ok(Box::new(OnSqlite(self.0.reader().await?)))
    }

    async fn write(&self, work: Work) -> Result<(), StoreError> {
        self.0.write(move |connection| Box::pin(async move { work(&mut OnSqlite(connection)).await })).await
    }

    /// There are none: a database belongs to one process.
    fn announce(&self, _task_queue_ids: &mut dyn Iterator<Item = &str>) {}

    async fn next_wake(&self) -> Option<String> {
        std::future::pending().await
    }

    fn outbox(&self) -> &dyn Outbox {
        &self.0
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

static DIALECT: Dialect = Dialect {
    lock_tasks: "SELECT * FROM tasks WHERE task_id IN (SELECT value FROM json_each($1))",
    definitions: "SELECT task_id, definition FROM definitions WHERE task_id IN (SELECT value FROM json_each($1))",
    join_groups: "INSERT INTO task_groups (task_group_id, scheduler_id, expires, sealed, unresolved)
        SELECT value->>'id', value->>'scheduler', value->>'expires', NULL, value->>'added' FROM json_each($1) WHERE TRUE
        ON CONFLICT (task_group_id) DO UPDATE SET
            unresolved = task_groups.unresolved + excluded.unresolved,
            expires = CASE
                WHEN task_groups.scheduler_id = excluded.scheduler_id AND task_groups.sealed IS NULL AND excluded.expires > task_groups.expires
                THEN excluded.expires ELSE task_groups.expires END
        RETURNING task_group_id, scheduler_id, expires, sealed, unresolved",
    settle_groups: "UPDATE task_groups SET unresolved = unresolved - (r.value->>'n')
        FROM json_each($1) AS r WHERE task_group_id = r.value->>'id'
        RETURNING task_group_id, scheduler_id, expires, sealed, unresolved",
    insert_tasks: "INSERT INTO tasks (task_id, task_queue_id, scheduler_id, project_id, task_group_id, priority, deadline, expires, retries,
            retries_left, requires, unsatisfied, state, is_open, ever_resolved, position, claimed, taken_until, awaited, runs, routes, tags)
        SELECT value->>'id', value->>'queue', value->>'scheduler', value->>'project', value->>'group', value->>'priority', value->>'deadline',
            value->>'expires', value->>'retries', value->>'left', value->>'requires', value->>'unsatisfied', value->>'state', value->>'open',
            value->>'ever', value->>'position', value->>'claimed', value->>'until', value->>'awaited', value->>'runs', value->>'routes', value->>'tags'
        FROM json_each($1)",
    insert_definitions: "INSERT INTO definitions (task_id, definition) SELECT value->>'id', value->>'definition' FROM json_each($1)",
    insert_dependencies: "INSERT INTO dependencies (required_id, dependent_id, requires, satisfied)
        SELECT value->>'required', value->>'dependent', value->>'requires', value->>'satisfied' FROM json_each($1)",
    satisfy: "UPDATE dependencies SET satisfied = 1 FROM json_each($1) AS r
        WHERE required_id = r.value->>'id' AND satisfied = 0 AND (r.value->>'completed' = 1 OR requires = 'all-resolved')
        RETURNING dependent_id",
    update_tasks: "UPDATE tasks SET priority = r.value->>'priority', retries_left = r.value->>'left', unsatisfied = r.value->>'unsatisfied',
            state = r.value->>'state', is_open = r.value->>'open', ever_resolved = r.value->>'ever', position = r.value->>'position',
            claimed = r.value->>'claimed', taken_until = r.value->>'until', awaited = r.value->>'awaited', runs = r.value->>'runs'
        FROM json_each($1) AS r WHERE task_id = r.value->>'id'",
    pick: claimable!(
        "SELECT * FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2
            ORDER BY priority DESC, position LIMIT $3",
        within "$4"
    ),
    insert_recent: "INSERT INTO recent_tasks (task_queue_id, worker_group, worker_id, task_id, run_id)
        SELECT value->>'queue', value->>'group', value->>'worker', value->>'id', value->>'run' FROM json_each($1) ORDER BY key",
    insert_outbox: "INSERT INTO outbox (exchange, routing_key, cc, payload)
        SELECT value->>'exchange', value->>'routing_key', value->>'cc', value->>'payload' FROM json_each($1) ORDER BY key",
    together: None,
    with_work: "SELECT value AS task_queue_id FROM json_each($1)
        WHERE EXISTS (SELECT 1 FROM tasks t WHERE t.task_queue_id = value AND t.position IS NOT NULL AND t.deadline > $2)",
    tasks_by_id: with_definitions!("SELECT * FROM tasks WHERE task_id IN (SELECT value FROM json_each($1))", ordered by "task_id", within "$2"),
    statuses_by_id: "SELECT * FROM tasks WHERE task_id IN (SELECT value FROM json_each($1)) ORDER BY task_id",
    delete_tasks: &[
        "DELETE FROM definitions WHERE task_id IN (SELECT value FROM json_each($1))",
        "DELETE FROM dependencies WHERE required_id IN (SELECT value FROM json_each($1))",
        "DELETE FROM dependencies WHERE dependent_id IN (SELECT value FROM json_each($1))",
        "DELETE FROM tasks WHERE task_id IN (SELECT value FROM json_each($1))",
    ],
};
