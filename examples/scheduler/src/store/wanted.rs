//! What the queue is to be asked for or about.

use serde_json::{Value, json};
use service_kit::store::{Row, StoreError};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::rows::{self, OverList, over_list};
use super::{SILENCE, Store};

/// Something that the queue is to do with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Wanted {
    /// The graph.
    pub graph_id: TaskId,
    /// The task.
    pub task_id: TaskId,
    /// There shall be a run beyond this many; otherwise it shall be cancelled.
    pub run_after: Option<u32>,
}

const SELECT_WANTED: &str = "SELECT graph_id, task_id, wish, cancel FROM nodes \
     WHERE ((wish IS NOT NULL AND ready) OR cancel) AND (graph_id, task_id) > ($1, $2) \
     ORDER BY graph_id, task_id LIMIT $3";

const SELECT_DUE: &str = "SELECT graph_id, task_id FROM nodes WHERE due <= $1 ORDER BY due LIMIT $2";

const LOOKED: OverList = over_list!(
    "UPDATE nodes SET due = CASE WHEN over THEN NULL ELSE CAST($2 AS BIGINT) END FROM",
    "WHERE graph_id = r.value->>'graph' AND task_id = r.value->>'id'"
);

const LOOK_AGAIN: &str = "UPDATE nodes SET due = $1 WHERE deadline > $1";

impl Store {
    /// What the queue is to do, by graph and task, behind the last of what was asked for before, at most `limit`.
    pub async fn wanted(&self, after: Option<Wanted>, limit: usize) -> Result<Vec<Wanted>, StoreError> {
        let (graph, task) = after.map(|last| (last.graph_id.to_string(), last.task_id.to_string())).unwrap_or_default();
        let rows = self.kit.rows(SELECT_WANTED, &[graph.into(), task.into(), limit.into()]).await?;
        rows.iter().map(wanted).collect()
    }

    /// Tasks that the queue is to be asked about now, at most `limit`: nothing was heard of them for long.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<(TaskId, TaskId)>, StoreError> {
        let rows = self.kit.rows(SELECT_DUE, &[now.into(), limit.into()]).await?;
        rows.iter().map(|row| Ok((row.parsed("graph_id")?, row.parsed("task_id")?))).collect()
    }

    /// Notes that the queue was asked about these tasks.
    pub async fn looked(&self, tasks: &[(TaskId, TaskId)], now: Timestamp) -> Result<(), StoreError> {
        let list = tasks.iter().map(|(graph, id)| json!({ "graph": graph, "id": id }));
        let list = Value::from_iter(list).to_string();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let statement = rows::on(sql, &LOOKED);
                    sql.run(statement, &[list.into(), (now + SILENCE).into()]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Has the queue asked about all tasks whose deadline has not passed: events may have been missed, and anybody may have
    /// had anything run again.
    pub async fn look_again(&self, now: Timestamp) -> Result<(), StoreError> {
        self.kit.run(LOOK_AGAIN, &[now.into()]).await?;
        Ok(())
    }
}

fn wanted(row: &Row) -> Result<Wanted, StoreError> {
    let run_after = row.int_or_null("wish")?.map(u32::try_from).transpose();
    Ok(Wanted {
        graph_id: row.parsed("graph_id")?,
        task_id: row.parsed("task_id")?,
        run_after: if row.flag("cancel")? {
            None
        } else {
            run_after.map_err(|error| StoreError::unreadable("wish", error))?
        },
    })
}
