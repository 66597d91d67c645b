//! Statements, and what their rows mean.

use std::collections::HashMap;

use serde_json::{Value, json};
use service_kit::store::{Row, Sql, StoreError};
use taskcluster_core::ids::TaskId;

use super::Placed;
use crate::graph::{Graph, Origin, Tally};
use crate::node::{Node, Seen, State};

/// A statement over a list that comes as one text of JSON, `$1`; its elements are `r.value`. For SQLite and for PostgreSQL.
pub(super) struct OverList(pub(super) &'static str, pub(super) &'static str);

/// Writes a statement twice, with the list of each database between its two parts.
macro_rules! over_list {
    ($before:literal, $after:literal) => {
        OverList(
            concat!($before, " json_each($1) AS r ", $after),
            concat!($before, " json_array_elements(CAST($1 AS json)) AS r (value) ", $after),
        )
    };
}
pub(super) use over_list;

/// The text for this database.
pub(super) fn on(sql: &dyn Sql, statement: &OverList) -> &'static str {
    sql.either(statement.0, statement.1)
}

/// Ids as a list for [`OverList`], each an element of the key `id`.
pub(super) fn ids(tasks: impl IntoIterator<Item = TaskId>) -> String {
    let ids: Vec<Value> = tasks.into_iter().map(|id| json!({ "id": id })).collect();
    Value::from(ids).to_string()
}

macro_rules! graph_columns {
    () => {
        "graph_id, scopes, routes, metadata, tags, digest, leaves_left, blockers, cancelled, submitted, expires"
    };
}
pub(super) use graph_columns;

macro_rules! node_columns {
    () => {
        "task_id, name, reruns, any_end, leaf, runs, state, failed, forgiven, wish, ready, cancel"
    };
}

pub(super) const SELECT_GRAPH: &str = concat!("SELECT ", graph_columns!(), " FROM graphs WHERE graph_id = $1");

pub(super) const SELECT_NODE: &str =
    concat!("SELECT ", node_columns!(), " FROM nodes WHERE graph_id = $1 AND task_id = $2");

pub(super) const SELECT_NODES: &str =
    concat!("SELECT ", node_columns!(), " FROM nodes WHERE graph_id = $1 AND task_id > $2 ORDER BY task_id LIMIT $3");

pub(super) const SELECT_UNENDED: &str =
    concat!("SELECT ", node_columns!(), " FROM nodes WHERE graph_id = $1 AND (NOT over OR cancel)");

pub(super) const SELECT_BLOCKERS: &str =
    concat!("SELECT ", node_columns!(), " FROM nodes WHERE graph_id = $1 AND over AND NOT satisfied");

/// Tasks that were to be cancelled and have not ended yet.
pub(super) const SELECT_STOPPING: &str =
    concat!("SELECT ", node_columns!(), " FROM nodes WHERE graph_id = $1 AND cancel");

pub(super) const SELECT_BLOCKER: &str =
    "SELECT task_id FROM nodes WHERE graph_id = $1 AND over AND NOT satisfied ORDER BY task_id LIMIT 1";

pub(super) const SELECT_DIGESTS: OverList =
    over_list!("SELECT task_id, digest FROM nodes WHERE graph_id = $2 AND task_id IN (SELECT r.value->>'id' FROM", ")");

/// What each of some tasks requires.
const SELECT_REQUIRED: OverList = over_list!(
    "SELECT e.dependent, e.required, d.satisfied OR (n.any_end AND d.over) AS met
     FROM edges e
     JOIN nodes d ON d.graph_id = e.graph_id AND d.task_id = e.required
     JOIN nodes n ON n.graph_id = e.graph_id AND n.task_id = e.dependent
     WHERE e.graph_id = $2 AND e.dependent IN (SELECT r.value->>'id' FROM",
    ") ORDER BY e.dependent, e.required"
);

const SELECT_DEPENDENTS: OverList = over_list!(
    "SELECT dependent, required FROM edges WHERE graph_id = $2 AND required IN (SELECT r.value->>'id' FROM",
    ") ORDER BY required, dependent"
);

/// The graph stands in the list as well: SQLite would look at every task of a graph that it is told beforehand.
pub(super) const SAVE_NODES: OverList = over_list!(
    "UPDATE nodes SET
         runs = CAST(r.value->>'runs' AS BIGINT),
         state = r.value->>'state',
         failed = CAST(r.value->>'failed' AS BIGINT),
         forgiven = CAST(r.value->>'forgiven' AS BIGINT),
         wish = CAST(r.value->>'wish' AS BIGINT),
         ready = CAST(r.value->>'ready' AS INTEGER) = 1,
         cancel = CAST(r.value->>'cancel' AS INTEGER) = 1,
         over = CAST(r.value->>'over' AS INTEGER) = 1,
         satisfied = CAST(r.value->>'satisfied' AS INTEGER) = 1,
         due = CAST(r.value->>'due' AS BIGINT)
     FROM",
    "WHERE graph_id = r.value->>'graph' AND task_id = r.value->>'id'"
);

/// Makes wishes ready whose tasks, or what these require, are in the list, where nothing is left to wait for. What is left is counted
/// task by task: PostgreSQL may take anything that it can reorder for a walk through the whole graph, as long as it knows nothing of
/// new tables.
pub(super) const MAKE_READY: OverList = over_list!(
    "WITH changed AS (SELECT r.value->>'id' AS id FROM",
    ") UPDATE nodes SET ready = TRUE
     WHERE graph_id = $2 AND wish IS NOT NULL AND NOT ready
       AND task_id IN (
           SELECT id FROM changed
           UNION SELECT dependent FROM edges WHERE graph_id = $2 AND required IN (SELECT id FROM changed))
       AND 0 = (
           SELECT COUNT(*) FROM edges e
           WHERE e.graph_id = nodes.graph_id AND e.dependent = nodes.task_id AND NOT COALESCE((
               SELECT d.satisfied OR (nodes.any_end AND d.over) FROM nodes d
               WHERE d.graph_id = e.graph_id AND d.task_id = e.required), TRUE))"
);

pub(super) const SAVE_TALLY: &str = "UPDATE graphs SET leaves_left = $2, blockers = $3 WHERE graph_id = $1";

pub(super) const SELECT_EXPIRED: &str = "SELECT graph_id FROM graphs WHERE expires <= $1 ORDER BY expires LIMIT $2";

/// Everything that belongs to a graph.
pub(super) const FORGET: [&str; 5] = [
    "DELETE FROM edges WHERE graph_id = $1",
    "DELETE FROM nodes WHERE graph_id = $1",
    "DELETE FROM labels WHERE graph_id = $1",
    "DELETE FROM submissions WHERE graph_id = $1",
    "DELETE FROM graphs WHERE graph_id = $1",
];

/// A graph with its tally.
pub(super) fn graph(row: &Row) -> Result<Graph, StoreError> {
    Ok(Graph {
        id: row.parsed("graph_id")?,
        origin: Origin {
            scopes: row.json("scopes")?,
            routes: row.json("routes")?,
            metadata: row.json("metadata")?,
            tags: row.json("tags")?,
            digest: row.text("digest")?,
        },
        state: tally(row)?.state(),
        cancelled: row.flag("cancelled")?,
        submitted: row.time("submitted")?,
        expires: row.time("expires")?,
    })
}

pub(super) fn tally(row: &Row) -> Result<Tally, StoreError> {
    Ok(Tally { leaves_left: row.int("leaves_left")?, blockers: row.int("blockers")? })
}

pub(super) fn node(row: &Row) -> Result<Node, StoreError> {
    let state = row.text("state")?;
    let state = State::named(&state).ok_or_else(|| StoreError::unreadable("state", state))?;
    let wish = row.int_or_null("wish")?.map(u32::try_from).transpose();
    Ok(Node {
        seen: Seen { runs: row.number("runs")?, state, failed: row.number("failed")? },
        reruns: row.number("reruns")?,
        forgiven: row.number("forgiven")?,
        wish: wish.map_err(|error| StoreError::unreadable("wish", error))?,
        ready: row.flag("ready")?,
        cancel: row.flag("cancel")?,
    })
}

/// Tasks of a graph with what is around them.
pub(super) async fn place(sql: &mut dyn Sql, graph_id: &str, found: &[Row]) -> Result<Vec<Placed>, StoreError> {
    let mut placed = found
        .iter()
        .map(|row| {
            let (task_id, name) = (row.parsed("task_id")?, row.text("name")?);
            Ok(Placed { task_id, name, node: node(row)?, requires: Vec::new(), dependents: Vec::new() })
        })
        .collect::<Result<Vec<Placed>, StoreError>>()?;
    let at: HashMap<TaskId, usize> = placed.iter().enumerate().map(|(at, placed)| (placed.task_id, at)).collect();
    let list = ids(at.keys().copied());
    let statement = on(sql, &SELECT_REQUIRED);
    for row in sql.rows(statement, &[(&list).into(), graph_id.into()]).await? {
        if let Some(at) = at.get(&row.parsed("dependent")?) {
            placed[*at].requires.push((row.parsed("required")?, row.flag("met")?));
        }
    }
    let statement = on(sql, &SELECT_DEPENDENTS);
    for row in sql.rows(statement, &[(&list).into(), graph_id.into()]).await? {
        if let Some(at) = at.get(&row.parsed("required")?) {
            placed[*at].dependents.push(row.parsed("dependent")?);
        }
    }
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use service_kit::store::{AnyStore, Database};

    use super::*;
    use crate::store::SCHEMA;

    /// An event costs the same however large its graph is.
    #[tokio::test]
    async fn sqlite_finds_the_tasks_that_changed_by_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = AnyStore::open(&Database::Sqlite(folder.path().join("db")), &SCHEMA).await.unwrap();
        for statement in [SELECT_NODE, SAVE_NODES.0, MAKE_READY.0] {
            let explain = format!("EXPLAIN QUERY PLAN {statement}").leak();
            let plan = store.rows(explain, &["[]".into(), "a graph".into()]).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| format!("{} ", step.text("detail").unwrap())).collect();
            let tables = ["nodes", "edges", "e", "d"].map(|table| format!(" {table} "));
            let steps: Vec<&String> =
                plan.iter().filter(|step| tables.iter().any(|table| step.contains(table.as_str()))).collect();
            assert!(
                !steps.is_empty() && steps.iter().all(|step| step.contains("graph_id=? AND ")),
                "{statement}: {plan:?}"
            );
        }
        store.close().await;
    }
}
