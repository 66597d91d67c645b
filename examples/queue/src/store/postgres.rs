//! PostgreSQL: any number of queue processes on one database.
//!
//! Locks are taken in one order, tasks by id before groups, so that transactions of different processes wait for one
//! another instead of running into a deadlock; should one arise all the same, the batch is done again. A claimer skips
//! what others have locked. Whoever held the row of a pending task therefore wakes its queue after the commit, by
//! `NOTIFY` also in other processes (`store/announcer.rs`).
//!
//! Most batches need no lock that is held from one round trip to the next: they look at what they change, and one statement,
//! a transaction of its own, writes what came of it, unless somebody else has changed the same meanwhile
//! ([`Together::changes_if_same`]). Where somebody has, the batch is done again with locks.

use std::sync::PoisonError;

use async_trait::async_trait;
use service_kit::outbox::Outbox;
use service_kit::store::{self as kit, Database, Notifications, OnPostgres, PostgresStore, is_lost};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, Postgres as Pg};
use taskcluster_core::ids::TaskId;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::announcer::{Announcer, CHANNEL};
use super::sql::{Arg, Backend, Dialect, Row, Sql, Together, Work, claimable, with_definitions};
use super::{SCHEMA, StoreError};

/// New tasks, what happens to tasks, claims, artifacts.
const LANES: usize = 4;

/// The lanes, the readers, the relay and the sweeps.
const CONNECTIONS: u32 = 16;

#[derive(Debug)]
pub(super) struct Postgres {
    store: PostgresStore,
    /// Connections that have written and will again: giving one back to the pool costs a round trip.
    writers: std::sync::Mutex<Vec<PoolConnection<Pg>>>,
    /// Holds a connection, so it must go before the pool is closed.
    notifications: Mutex<Option<Notifications>>,
    announcer: Announcer,
    announcing: TaskTracker,
    closing: CancellationToken,
    /// Whoever forgets to close must not leave the announcer behind.
    _end: DropGuard,
    /// The name of this handle among those of all processes.
    instance: String,
}

impl Postgres {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(database: &Database) -> Result<Self, StoreError> {
        let instance = TaskId::new().to_string();
        let store = PostgresStore::open(database, SCHEMA.service, SCHEMA.postgres, CONNECTIONS).await?;
        let notifications = Mutex::new(Some(store.listen(&[CHANNEL]).await?));
        let (announcer, closing) = (Announcer::default(), CancellationToken::new());
        let announcing = TaskTracker::new();
        announcing.spawn(announcer.clone().run(store.clone(), instance.clone(), closing.clone()));
        let _end = closing.clone().drop_guard();
        Ok(Self {
            store,
            writers: std::sync::Mutex::default(),
            notifications,
            announcer,
            announcing,
            closing,
            _end,
            instance,
        })
    }

    async fn writer(&self) -> Result<PoolConnection<Pg>, kit::StoreError> {
        let kept = self.writers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(connection) => Ok(connection),
            None => Ok(self.store.pool().acquire().await?),
        }
    }

    /// Keeps a connection for the next who writes; one that has failed goes to the pool, which looks what it is good for.
    fn keep<T, E>(&self, connection: PoolConnection<Pg>, result: &Result<T, E>) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if result.is_ok() && writers.len() < LANES {
            writers.push(connection);
        }
    }

    async fn listen(&self) -> Option<String> {
        let mut notifications = self.notifications.lock().await;
        let Some(notifications) = notifications.as_mut() else { return std::future::pending().await };
        loop {
            match notifications.next().await {
                Ok(Some((_, payload))) => match payload.split_once(' ') {
                    // Our own have been woken already.
                    Some((from, _)) if from == self.instance => {}
                    Some((_, queue)) => return Some(queue.to_owned()),
                    None => return None,
                },
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(error = %error, "cannot listen to other processes; the sweep finds what they enqueue");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Each statement is a transaction.
struct Alone<'p>(&'p Postgres);

#[async_trait]
impl Sql for Alone<'_> {
    async fn rows(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, kit::StoreError> {
        let mut connection = self.0.writer().await?;
        let result = OnPostgres(&mut *connection).rows(statement, args).await;
        self.0.keep(connection, &result);
        result
    }

    async fn run(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, kit::StoreError> {
        let mut connection = self.0.writer().await?;
        let result = OnPostgres(&mut *connection).run(statement, args).await;
        self.0.keep(connection, &result);
        result
    }

    fn either(&self, _sqlite: &'static str, postgres: &'static str) -> &'static str {
        postgres
    }
}

/// Reads. Whether the connection lives is not asked first; where it does not, a living one is asked once more.
struct Reader {
    store: PostgresStore,
    connection: PoolConnection<Pg>,
}

impl Reader {
    /// Takes another connection, if that is of any use after this error.
    async fn anew(&mut self, error: kit::StoreError) -> Result<&mut PgConnection, kit::StoreError> {
        match error {
            kit::StoreError::Database(error) if is_lost(&error) => {
                self.connection.close_on_drop();
                self.connection = self.store.reader().await?;
                Ok(&mut self.connection)
            }
            error => Err(error),
        }
    }
}

#[async_trait]
impl Sql for Reader {
    async fn rows(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, kit::StoreError> {
        match OnPostgres(&mut *self.connection).rows(statement, args).await {
            Ok(rows) => Ok(rows),
            Err(error) => OnPostgres(self.anew(error).await?).rows(statement, args).await,
        }
    }

    /// Nothing is written through it, so nothing can happen twice.
    async fn run(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, kit::StoreError> {
        match OnPostgres(&mut *self.connection).run(statement, args).await {
            Ok(count) => Ok(count),
            Err(error) => OnPostgres(self.anew(error).await?).run(statement, args).await,
        }
    }

    fn either(&self, _sqlite: &'static str, postgres: &'static str) -> &'static str {
        postgres
    }
}

/// Gives the work back where there is no transaction for it.
async fn in_transaction(
    connection: &mut PgConnection,
    work: Work,
) -> Result<Result<(), StoreError>, (Work, sqlx::Error)> {
    let mut transaction = match connection.begin().await {
        Ok(transaction) => transaction,
        Err(error) => return Err((work, error)),
    };
    if let Err(error) = work(&mut OnPostgres(&mut *transaction)).await {
        // The transaction is taken back when the connection is given to the pool.
        return Ok(Err(error));
    }
    Ok(transaction.commit().await.map_err(StoreError::from))
}

#[async_trait]
impl Backend for Postgres {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn reader(&self) -> Result<Box<dyn Sql>, StoreError> {
        let connection = self.store.pool().acquire().await?;
        Ok(Box::new(Reader { store: self.store.clone(), connection }))
    }

    async fn write(&self, mut work: Work) -> Result<(), StoreError> {
        loop {
            let mut connection = self.writer().await?;
            match in_transaction(&mut connection, work).await {
                Ok(result) => {
                    self.keep(connection, &result);
                    return result;
                }
                // The pool has a living connection, or makes one, or says that it cannot.
                Err((untouched, error)) if is_lost(&error) => {
                    connection.close_on_drop();
                    work = untouched;
                }
                Err((_, error)) => return Err(error.into()),
            }
        }
    }

    fn alone(&self) -> Option<Box<dyn Sql + '_>> {
        Some(Box::new(Alone(self)))
    }

    fn announce(&self, task_queue_ids: &mut dyn Iterator<Item = &str>) {
        self.announcer.add(task_queue_ids);
    }

    async fn next_wake(&self) -> Option<String> {
        match self.closing.run_until_cancelled(self.listen()).await {
            Some(wake) => wake,
            None => std::future::pending().await,
        }
    }

    fn outbox(&self) -> &dyn Outbox {
        &self.store
    }

    async fn close(&self) {
        self.closing.cancel();
        drop(self.notifications.lock().await.take());
        self.announcing.close();
        self.announcing.wait().await;
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.store.close().await;
    }
}

/// Statements that stand alone and as a part of others; the number is that of their argument.
macro_rules! statement {
    (join_groups, $n:literal, $refused:literal) => { concat!("INSERT INTO task_groups (task_group_id, scheduler_id, expires, sealed, unresolved)
        SELECT id, scheduler, expires, NULL, added FROM json_to_recordset($", $n, "::json) AS r(id TEXT, scheduler TEXT, expires BIGINT, added BIGINT)
        ORDER BY id
        ON CONFLICT (task_group_id) DO UPDATE SET
            unresolved = CASE WHEN task_groups.scheduler_id = excluded.scheduler_id AND task_groups.sealed IS NULL
                THEN task_groups.unresolved + excluded.unresolved ELSE ", $refused, " END,
            expires = CASE WHEN task_groups.scheduler_id = excluded.scheduler_id AND task_groups.sealed IS NULL
                THEN GREATEST(task_groups.expires, excluded.expires) ELSE task_groups.expires END") };
    (insert_tasks, $n:literal) => { concat!("INSERT INTO tasks (task_id, task_queue_id, scheduler_id, project_id, task_group_id, priority, deadline, expires, retries,
            retries_left, requires, unsatisfied, state, is_open, ever_resolved, position, claimed, taken_until, awaited, runs, routes, tags)
        SELECT id, queue, scheduler, project, \"group\", priority, deadline, expires, retries, \"left\", requires, unsatisfied, state, open, ever,
            position, claimed, until, awaited, runs, routes, tags
        FROM json_to_recordset($", $n, "::json) AS r(id TEXT, queue TEXT, scheduler TEXT, project TEXT, \"group\" TEXT, priority BIGINT, deadline BIGINT,
            expires BIGINT, retries BIGINT, \"left\" BIGINT, requires TEXT, unsatisfied BIGINT, state TEXT, open BIGINT, ever BIGINT,
            position BIGINT, claimed BIGINT, until BIGINT, awaited BIGINT, runs TEXT, routes TEXT, tags TEXT)") };
    (insert_definitions, $n:literal) => { concat!("INSERT INTO definitions (task_id, definition)
        SELECT id, definition FROM json_to_recordset($", $n, "::json) AS r(id TEXT, definition TEXT)") };
    (update_tasks, $n:literal) => { concat!("UPDATE tasks t SET priority = r.priority, retries_left = r.\"left\", unsatisfied = r.unsatisfied, state = r.state,
            is_open = r.open, ever_resolved = r.ever, position = r.position, claimed = r.claimed, taken_until = r.until, awaited = r.awaited,
            runs = r.runs
        FROM json_to_recordset($", $n, "::json) AS r(id TEXT, priority BIGINT, \"left\" BIGINT, unsatisfied BIGINT, state TEXT, open BIGINT, ever BIGINT,
            position BIGINT, claimed BIGINT, until BIGINT, awaited BIGINT, runs TEXT, version XID)
        WHERE t.task_id = r.id") };
    (settle_groups, $n:literal) => { concat!("UPDATE task_groups g SET unresolved = unresolved - r.n
        FROM (SELECT id, n FROM json_to_recordset($", $n, "::json) AS r(id TEXT, n BIGINT) ORDER BY id) AS r WHERE g.task_group_id = r.id
        RETURNING g.task_group_id, g.scheduler_id, g.expires, g.sealed, g.unresolved") };
    (settle_groups_if_same, $n:literal) => { concat!("UPDATE task_groups g SET unresolved = CASE
            WHEN r.ends = 0 AND g.unresolved > r.n OR r.ends = 1 AND g.unresolved <= r.n AND g.expires = r.expires AND g.sealed IS NOT DISTINCT FROM r.sealed
            THEN g.unresolved - r.n END
        FROM (SELECT * FROM json_to_recordset($", $n, "::json) AS r(id TEXT, n BIGINT, ends BIGINT, expires BIGINT, sealed BIGINT) ORDER BY id) AS r
        WHERE g.task_group_id = r.id") };
    (insert_recent, $n:literal) => { concat!("INSERT INTO recent_tasks (task_queue_id, worker_group, worker_id, task_id, run_id)
        SELECT queue, \"group\", worker, id, run
        FROM json_to_recordset($", $n, "::json) AS r(queue TEXT, \"group\" TEXT, worker TEXT, id TEXT, run BIGINT)") };
    (insert_outbox, $n:literal) => { concat!("INSERT INTO outbox (exchange, routing_key, cc, payload)
        SELECT exchange, routing_key, cc, payload
        FROM json_to_recordset($", $n, "::json) AS r(exchange TEXT, routing_key TEXT, cc TEXT, payload TEXT)") };
}

/// Rows of a list are taken in its order: that is how a function's result is read, with nothing joined to it.
static DIALECT: Dialect = Dialect {
    lock_tasks: "SELECT * FROM tasks WHERE task_id IN (SELECT json_array_elements_text($1::json)) ORDER BY task_id FOR NO KEY UPDATE",
    definitions: "SELECT task_id, definition FROM definitions WHERE task_id IN (SELECT json_array_elements_text($1::json))",
    join_groups: concat!(statement!(join_groups, 1, "task_groups.unresolved + excluded.unresolved"),
        " RETURNING task_group_id, scheduler_id, expires, sealed, unresolved"),
    settle_groups: statement!(settle_groups, 1),
    insert_tasks: statement!(insert_tasks, 1),
    insert_definitions: statement!(insert_definitions, 1),
    insert_dependencies: "INSERT INTO dependencies (required_id, dependent_id, requires, satisfied)
        SELECT required, dependent, requires, satisfied
        FROM json_to_recordset($1::json) AS r(required TEXT, dependent TEXT, requires TEXT, satisfied BIGINT)",
    satisfy: "UPDATE dependencies d SET satisfied = 1 FROM json_to_recordset($1::json) AS r(id TEXT, completed BIGINT)
        WHERE d.required_id = r.id AND d.satisfied = 0 AND (r.completed = 1 OR d.requires = 'all-resolved')
        RETURNING d.dependent_id",
    update_tasks: statement!(update_tasks, 1),
    pick: concat!(
        "WITH picked AS MATERIALIZED (
            SELECT * FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2
            ORDER BY priority DESC, position LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        ) ",
        claimable!("SELECT * FROM picked", within "$4")
    ),
    insert_recent: statement!(insert_recent, 1),
    insert_outbox: statement!(insert_outbox, 1),
    together: Some(Together {
        // A column that must not be null refuses a group of another scheduler and a sealed one.
        create: concat!(
            "WITH groups_in AS (", statement!(join_groups, 1, "NULL"), "), tasks_in AS (", statement!(insert_tasks, 2),
            "), definitions_in AS (", statement!(insert_definitions, 3), ") ", statement!(insert_outbox, 4)
        ),
        new: concat!(
            "WITH tasks_in AS (", statement!(insert_tasks, 1), "), definitions_in AS (", statement!(insert_definitions, 2), ") ",
            statement!(insert_outbox, 3)
        ),
        changes: concat!(
            "WITH tasks_up AS (", statement!(update_tasks, 1), "), recent_in AS (", statement!(insert_recent, 2), "), settled AS (",
            statement!(settle_groups, 3), "), outbox_in AS (", statement!(insert_outbox, 4), ") SELECT * FROM settled"
        ),
        // The transaction that wrote a row last is its version.
        look: "SELECT t.*, t.xmin::text AS version, g.expires AS group_expires, g.sealed AS group_sealed, g.unresolved AS group_unresolved
            FROM tasks t LEFT JOIN task_groups g ON g.task_group_id = t.task_group_id
            WHERE t.task_id IN (SELECT json_array_elements_text($1::json))",
        spot: claimable!("SELECT *, xmin::text AS version FROM tasks WHERE task_queue_id = $1 AND position IS NOT NULL AND deadline > $2
            ORDER BY priority DESC, position LIMIT $3", within "$4"),
        changes_if_same: concat!(
            "WITH tasks_up AS (", statement!(update_tasks, 1), " AND t.xmin = r.version RETURNING 1), recent_in AS (", statement!(insert_recent, 2),
            "), settled AS (", statement!(settle_groups_if_same, 3), "), outbox_in AS (", statement!(insert_outbox, 4),
            ") SELECT 1 / (SELECT (count(*) = $5)::int FROM tasks_up)"
        ),
    }),
    with_work: "SELECT value AS task_queue_id FROM json_array_elements_text($1::json) AS r(value)
        WHERE EXISTS (SELECT 1 FROM tasks t WHERE t.task_queue_id = value AND t.position IS NOT NULL AND t.deadline > $2)",
    tasks_by_id: with_definitions!("SELECT * FROM tasks WHERE task_id IN (SELECT json_array_elements_text($1::json))", ordered by "task_id", within "$2"),
    statuses_by_id: "SELECT * FROM tasks WHERE task_id IN (SELECT json_array_elements_text($1::json)) ORDER BY task_id",
    delete_tasks: &[
        "DELETE FROM definitions WHERE task_id IN (SELECT json_array_elements_text($1::json))",
        "DELETE FROM dependencies WHERE required_id IN (SELECT json_array_elements_text($1::json))",
        "DELETE FROM dependencies WHERE dependent_id IN (SELECT json_array_elements_text($1::json))",
        "DELETE FROM tasks WHERE task_id IN (SELECT json_array_elements_text($1::json))",
    ],
};
