//! What the two databases have to provide, beside the narrow waist that service-kit has: a statement, its arguments, its rows.

use std::fmt;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use service_kit::outbox::Outbox;
pub(super) use service_kit::store::{Arg, Row, Sql};

use super::StoreError;

/// Work inside a transaction: it is committed when the work succeeds, and has not happened otherwise.
pub(super) type Work = Box<dyn for<'c> FnOnce(&'c mut dyn Sql) -> BoxFuture<'c, Result<(), StoreError>> + Send>;

/// One of the databases.
#[async_trait]
pub(super) trait Backend: fmt::Debug + Send + Sync {
    /// The statements that differ between the databases.
    fn dialect(&self) -> &'static Dialect;

    /// How many batches may be written at the same time.
    fn lanes(&self) -> usize;

    /// Something to read from: sees what has been committed.
    async fn reader(&self) -> Result<Box<dyn Sql>, StoreError>;

    /// Something to write to for which each statement is a transaction; where [`Dialect::together`] is given.
    fn alone(&self) -> Option<Box<dyn Sql + '_>> {
        None
    }

    /// Runs the work in a transaction that writes, and returns when it is durable.
    async fn write(&self, work: Work) -> Result<(), StoreError>;

    /// Tells other processes, some time soon, that runs wait in these task queues.
    fn announce(&self, task_queue_ids: &mut dyn Iterator<Item = &str>);

    /// Waits until another process says that runs wait in a task queue; `None` where it may have been missed which.
    /// Never ends where there are no other processes.
    async fn next_wake(&self) -> Option<String>;

    /// Where the events wait to be published.
    fn outbox(&self) -> &dyn Outbox;

    /// Gives everything back.
    async fn close(&self);
}

/// What a page of tasks with their definitions, or the answer to a claim, holds at most, in bytes of the definitions; one
/// task always fits.
pub(super) const PAGE_BYTES: i64 = 8 << 20;

/// Adds the definitions to the rows of a list of tasks, as far as they fit into as many bytes as the argument says. The
/// database sends no others. `found` counts the rows before the cut.
///
/// The definitions are looked up row by row, so that they cannot change how the rows themselves are found; the length
/// of one is known without reading it.
macro_rules! with_definitions {
    ($rows:expr, ordered by $order:literal, within $bytes:literal) => {
        concat!(
            "SELECT page.*, (SELECT d.definition FROM definitions d WHERE d.task_id = page.task_id) AS definition FROM (
                SELECT r.*, count(*) OVER () AS found, row_number() OVER (ORDER BY ", $order, ") AS place,
                    sum((SELECT octet_length(d.definition) FROM definitions d WHERE d.task_id = r.task_id))
                        OVER (ORDER BY ", $order, " ROWS UNBOUNDED PRECEDING) AS bytes
                FROM (", $rows, ") AS r
            ) AS page WHERE page.place = 1 OR page.bytes <= ", $bytes, " ORDER BY page.place"
        )
    };
}
pub(super) use with_definitions;

/// Adds the definitions to rows of waiting runs, as far as they fit into as many bytes as the argument says, and the first
/// in any case. The other rows come without one: who has locked them has to know them.
macro_rules! claimable {
    ($rows:expr, within $bytes:literal) => {
        concat!(
            "SELECT k.*, CASE WHEN k.place = 1 OR k.bytes <= ",
            $bytes,
            "
                THEN (SELECT d.definition FROM definitions d WHERE d.task_id = k.task_id) END AS definition FROM (
                SELECT r.*, row_number() OVER (ORDER BY priority DESC, position) AS place,
                    sum((SELECT octet_length(d.definition) FROM definitions d WHERE d.task_id = r.task_id))
                        OVER (ORDER BY priority DESC, position ROWS UNBOUNDED PRECEDING) AS bytes
                FROM (",
            $rows,
            ") AS r
            ) AS k ORDER BY k.place"
        )
    };
}
pub(super) use claimable;

/// Statements that write several kinds of rows at once, for a database where each statement is a round trip.
#[derive(Debug)]
pub(super) struct Together {
    /// $1 groups as for `join_groups`, $2 tasks, $3 definitions, $4 messages: new tasks that depend on nothing, each in
    /// a statement of its own that is a transaction of its own. Fails where that cannot be: for a task that exists
    /// as every second insertion does, for a group that does not take it with [`REFUSED`].
    pub(super) create: &'static str,
    /// $1 tasks, $2 definitions, $3 messages.
    pub(super) new: &'static str,
    /// $1 tasks to update, $2 recent tasks, $3 groups as for `settle_groups`, $4 messages → as `settle_groups`.
    pub(super) changes: &'static str,
    /// $1 ids → the tasks with `version`, and `group_…` of their groups; not locked.
    pub(super) look: &'static str,
    /// As `pick`, with `version`; not locked.
    pub(super) spot: &'static str,
    /// As `changes`, with $5 the number of tasks: a transaction of its own after a look at them. A group is [{id, n, ends, expires,
    /// sealed}]. Fails with one of [`REFUSED`] if a task has changed since, or what these changes mean for a group.
    pub(super) changes_if_same: &'static str,
}

/// The SQLSTATEs with which the statements of [`Together`] that stand alone say that it is not as they expect: a null where
/// none may be, a division by zero.
pub(super) const REFUSED: [&str; 2] = ["23502", "22012"];

/// The statements that differ between the databases. Lists arrive as one JSON argument, so that a statement serves any
/// number of rows.
#[derive(Debug)]
pub(super) struct Dialect {
    /// $1 ids → the tasks, locked in the order of their ids.
    pub(super) lock_tasks: &'static str,
    /// $1 ids → task_id, definition.
    pub(super) definitions: &'static str,
    /// $1 [{id, scheduler, expires, added}] → the groups, made where missing, with `added` more unresolved tasks;
    /// locked.
    pub(super) join_groups: &'static str,
    /// $1 [{id, n}] → the groups with n fewer unresolved tasks.
    pub(super) settle_groups: &'static str,
    /// $1 tasks.
    pub(super) insert_tasks: &'static str,
    /// $1 [{id, definition}].
    pub(super) insert_definitions: &'static str,
    /// $1 [{required, dependent, requires, satisfied}].
    pub(super) insert_dependencies: &'static str,
    /// $1 [{id, completed}] → dependent_id of each edge that is satisfied now and was not before.
    pub(super) satisfy: &'static str,
    /// $1 tasks, of which the changeable columns count.
    pub(super) update_tasks: &'static str,
    /// $1 queue, $2 now, $3 count, $4 bytes → tasks of runs that wait, in order, with definition as far as those fit;
    /// locked.
    pub(super) pick: &'static str,
    /// $1 [{queue, group, worker, id, run}], in order.
    pub(super) insert_recent: &'static str,
    /// $1 messages, in order.
    pub(super) insert_outbox: &'static str,
    /// Several of these at once.
    pub(super) together: Option<Together>,
    /// $1 queue names, $2 now → those in which runs wait.
    pub(super) with_work: &'static str,
    /// $1 ids, $2 bytes → tasks with definition, by id, as far as they fit.
    pub(super) tasks_by_id: &'static str,
    /// $1 ids → tasks, by id.
    pub(super) statuses_by_id: &'static str,
    /// $1 ids: all that is kept of these tasks; several statements.
    pub(super) delete_tasks: &'static [&'static str],
}
