//! The statements, and what their rows mean.

use service_kit::store::{Row, StoreError};

use super::Waiting;
use crate::entry::{Entry, Namespace};
use crate::finished::Finished;
use crate::path::IndexPath;

macro_rules! select_entries {
    ($($rest:literal),+) => {
        concat!("SELECT namespace, name, task_id, rank, data, expires, since FROM tasks WHERE ", $($rest),+)
    };
}

pub(super) const SELECT_ENTRY: &str = select_entries!("namespace = $1 AND name = $2 AND expires > $3");

/// Below a namespace, after a name, so many.
pub(super) const SELECT_ENTRIES: &str =
    select_entries!("namespace = $1 AND name > $2 AND expires > $3 ORDER BY name LIMIT $4");

/// Those of some names, of a list as [`names`] makes it.
macro_rules! select_entries_in {
    ($list:literal) => {
        select_entries!(
            "(namespace, name) IN (SELECT value ->> 0, value ->> 1 FROM ",
            $list,
            ") AND expires > $2 ORDER BY namespace, name"
        )
    };
}

pub(super) const SELECT_ENTRIES_IN_SQLITE: &str = select_entries_in!("json_each($1)");
pub(super) const SELECT_ENTRIES_IN_POSTGRES: &str = select_entries_in!("json_array_elements(CAST($1 AS json))");

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

pub(super) fn entry(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        path: IndexPath { namespace: row.text("namespace")?, name: row.text("name")? },
        task_id: row.parsed("task_id")?,
        rank: row.float("rank")?,
        data: row.text("data")?,
        expires: row.time("expires")?,
        since: row.time("since")?,
    })
}

pub(super) fn namespace(row: &Row) -> Result<Namespace, StoreError> {
    let path = IndexPath { namespace: row.text("parent")?, name: row.text("name")? };
    Ok(Namespace { path, expires: row.time("expires")? })
}

pub(super) fn waiting(row: &Row) -> Result<Waiting, StoreError> {
    let finished = Finished { task_id: row.parsed("task_id")?, since: row.time("since")? };
    Ok(Waiting { id: row.int("id")?, finished })
}

/// Names as one JSON text, a list of pairs: both databases take that apart.
pub(super) fn names(paths: &[IndexPath]) -> String {
    let pairs: Vec<[&str; 2]> = paths.iter().map(|path| [path.namespace.as_str(), path.name.as_str()]).collect();
    serde_json::json!(pairs).to_string()
}
