//! Rows and the SQL that both databases understand alike.

use taskcluster_core::time::Timestamp;

use super::{StoreError, Waiting};
use crate::entry::{Entry, Namespace};
use crate::finished::Finished;
use crate::path::IndexPath;

macro_rules! select_entries {
    ($($rest:literal),+) => {
        concat!("SELECT namespace, name, task_id, rank, data, expires, since FROM tasks WHERE ", $($rest),+)
    };
}
pub(super) use select_entries;

pub(super) const SELECT_ENTRY: &str = select_entries!("namespace = $1 AND name = $2 AND expires > $3");

/// Below a namespace, after a name, so many.
pub(super) const SELECT_ENTRIES: &str =
    select_entries!("namespace = $1 AND name > $2 AND expires > $3 ORDER BY name LIMIT $4");

pub(super) const SELECT_NAMESPACES: &str = "SELECT parent, name, expires FROM namespaces \
     WHERE parent = $1 AND name > $2 AND expires > $3 ORDER BY name LIMIT $4";

/// What has expired stands in nobody's way. `$9`: it comes now, and so after what is there, whatever the clocks say.
pub(super) const PUT_ENTRY: &str = "INSERT INTO tasks (namespace, name, task_id, rank, data, expires, since) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (namespace, name) DO UPDATE \
     SET task_id = excluded.task_id, rank = excluded.rank, data = excluded.data, expires = excluded.expires, \
         since = CASE WHEN tasks.rank = excluded.rank AND tasks.since > excluded.since THEN tasks.since \
             ELSE excluded.since END \
     WHERE tasks.rank < excluded.rank OR (tasks.rank = excluded.rank AND ($9 OR tasks.since <= excluded.since)) \
         OR tasks.expires <= $8";

/// Also one that has expired.
pub(super) const SELECT_ANY_ENTRY: &str = select_entries!("namespace = $1 AND name = $2");

pub(super) const PUT_NAMESPACE: &str = "INSERT INTO namespaces (parent, name, expires) VALUES ($1, $2, $3) \
     ON CONFLICT (parent, name) DO UPDATE SET expires = excluded.expires WHERE namespaces.expires < excluded.expires";

pub(super) const DELETE_ENTRY: &str = "DELETE FROM tasks WHERE namespace = $1 AND name = $2";

pub(super) const REMEMBER: &str = "INSERT INTO finished (task_id, since) VALUES ($1, $2)";

pub(super) const SELECT_WAITING: &str = "SELECT id, task_id, since FROM finished WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const FORGET: &str = "DELETE FROM finished WHERE id = $1";

pub(super) const EXPIRE_ENTRIES: &str = "DELETE FROM tasks WHERE (namespace, name) IN \
     (SELECT namespace, name FROM tasks WHERE expires <= $1 ORDER BY expires LIMIT $2)";

pub(super) const EXPIRE_NAMESPACES: &str = "DELETE FROM namespaces WHERE (parent, name) IN \
     (SELECT parent, name FROM namespaces WHERE expires <= $1 ORDER BY expires LIMIT $2)";

pub(super) type EntryRow = (String, String, String, f64, String, i64, i64);

pub(super) fn entry(row: EntryRow) -> Result<Entry, StoreError> {
    let (namespace, name, task_id, rank, data, expires, since) = row;
    Ok(Entry {
        path: IndexPath { namespace, name },
        task_id: task_id.parse().map_err(|_| StoreError::TaskId(task_id))?,
        rank,
        data,
        expires: Timestamp::from_millis(expires),
        since: Timestamp::from_millis(since),
    })
}

pub(super) fn entries(rows: Vec<EntryRow>) -> Result<Vec<Entry>, StoreError> {
    rows.into_iter().map(entry).collect()
}

pub(super) type NamespaceRow = (String, String, i64);

pub(super) fn namespace(row: NamespaceRow) -> Namespace {
    let (namespace, name, expires) = row;
    Namespace { path: IndexPath { namespace, name }, expires: Timestamp::from_millis(expires) }
}

pub(super) type WaitingRow = (i64, String, i64);

pub(super) fn waiting(row: WaitingRow) -> Result<Waiting, StoreError> {
    let (id, task_id, since) = row;
    let task_id = task_id.parse().map_err(|_| StoreError::TaskId(task_id))?;
    Ok(Waiting { id, finished: Finished { task_id, since: Timestamp::from_millis(since) } })
}

/// Names as one JSON text, a list of pairs: both databases take that apart.
pub(super) fn names(paths: &[IndexPath]) -> String {
    let pairs: Vec<[&str; 2]> = paths.iter().map(|path| [path.namespace.as_str(), path.name.as_str()]).collect();
    serde_json::json!(pairs).to_string()
}

/// A limit as the databases take it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
