//! Where graphs are kept, and what has to be done about them.
//!
//! Each change is one transaction, with the messages that tell of it, and when a method returns, it is durable. What a change
//! makes of a task or a graph is decided in [`node`](crate::node) and [`graph`](crate::graph); here it is written down.

use std::collections::HashMap;

use service_kit::outbox::Outbox;
use service_kit::store::{AnyStore, Database, Schema, StoreError};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, minutes};
use tokio::sync::watch;

use crate::graph::Graph;
use crate::node::{Node, Seen};

#[cfg(test)]
mod contract;
mod list;
mod progress;
mod rows;
mod submissions;
mod wanted;

pub use list::{Filter, Place};
pub use submissions::{Accepted, Begun};
pub use wanted::Wanted;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "scheduler",
    &[
        ("0001_graphs.sql", include_str!("../migrations/sqlite/0001_graphs.sql")),
        ("0002_outbox.sql", service_kit::outbox::SQLITE_TABLE),
    ],
    &[
        ("0001_graphs.sql", include_str!("../migrations/postgres/0001_graphs.sql")),
        #[cfg(feature = "postgres")]
        ("0002_outbox.sql", service_kit::outbox::POSTGRES_TABLE),
    ],
)
.with_changes_in_turn();

/// The queue is asked about a task that has not ended if no event came for so long.
pub(crate) const SILENCE: std::time::Duration = minutes(5);

/// A task of a graph with its place in it.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Placed {
    /// Which.
    pub task_id: TaskId,
    /// Its name, from its definition.
    pub name: String,
    /// Where it stands.
    pub node: Node,
    /// What it requires, sorted, each with whether it need not wait for that any more.
    pub requires: Vec<(TaskId, bool)>,
    /// What requires it, sorted.
    pub dependents: Vec<TaskId>,
}

/// The store of this service. Every method fails when the database does.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
    scheduler_id: String,
}

impl Store {
    /// Opens the database and brings it up to date. Messages name this scheduler.
    pub async fn open(database: &Database, scheduler_id: &str) -> Result<Self, StoreError> {
        Ok(Self { kit: AnyStore::open(database, &SCHEMA).await?, scheduler_id: scheduler_id.to_owned() })
    }

    /// A graph that was accepted.
    pub async fn graph(&self, graph_id: TaskId) -> Result<Option<Graph>, StoreError> {
        let row = self.kit.row(rows::SELECT_GRAPH, &[graph_id.to_string().into()]).await?;
        row.map(|row| rows::graph(&row)).transpose()
    }

    /// Tasks of a graph whose id comes after `after`, by id, at most `limit`.
    pub async fn nodes(&self, graph_id: TaskId, after: &str, limit: usize) -> Result<Vec<Placed>, StoreError> {
        let graph_id = graph_id.to_string();
        let mut sql = self.kit.reader().await?;
        let found = sql.rows(rows::SELECT_NODES, &[(&graph_id).into(), after.into(), limit.into()]).await?;
        rows::place(&mut *sql, &graph_id, &found).await
    }

    /// One task of a graph.
    pub async fn node(&self, graph_id: TaskId, task_id: TaskId) -> Result<Option<Placed>, StoreError> {
        let (graph_id, task_id) = (graph_id.to_string(), task_id.to_string());
        let mut sql = self.kit.reader().await?;
        let found = sql.rows(rows::SELECT_NODE, &[(&graph_id).into(), (&task_id).into()]).await?;
        Ok(rows::place(&mut *sql, &graph_id, &found).await?.pop())
    }

    /// Those of these tasks that the graph has, each with the digest of what it was submitted as.
    pub async fn digests(
        &self,
        graph_id: TaskId,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> Result<HashMap<TaskId, String>, StoreError> {
        let tasks = rows::ids(tasks);
        let mut sql = self.kit.reader().await?;
        let statement = rows::on(&*sql, &rows::SELECT_DIGESTS);
        let found = sql.rows(statement, &[tasks.into(), graph_id.to_string().into()]).await?;
        found.iter().map(|row| Ok((row.parsed("task_id")?, row.text("digest")?))).collect()
    }

    /// Takes over what the queue says of a task, unless it is old or the task is none of ours.
    pub async fn observe(
        &self,
        graph_id: TaskId,
        task_id: TaskId,
        seen: Seen,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.progress(graph_id, task_id, now, move |node, stopped| node.observe(seen, stopped)).await
    }

    /// Notes that the queue does not run a task again beyond this many runs.
    pub async fn give_up(
        &self,
        graph_id: TaskId,
        task_id: TaskId,
        after: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.progress(graph_id, task_id, now, move |node, _| node.give_up(after)).await
    }

    /// Notes that a task cannot be cancelled: it is gone, or ends by itself.
    pub async fn cannot_cancel(&self, graph_id: TaskId, task_id: TaskId, now: Timestamp) -> Result<(), StoreError> {
        self.progress(graph_id, task_id, now, |node, _| Node { cancel: false, ..node }).await
    }

    /// Forgets graphs that have expired, at most `limit`, and says how many.
    pub async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let gone = sql.rows(rows::SELECT_EXPIRED, &[now.into(), limit.into()]).await?;
                    for row in &gone {
                        let graph_id = row.text("graph_id")?;
                        for statement in rows::FORGET {
                            sql.run(statement, &[(&graph_id).into()]).await?;
                        }
                    }
                    Ok(gone.len() as u64)
                })
            })
            .await
    }

    /// What is to be published.
    pub(crate) fn outbox(&self) -> std::sync::Arc<dyn Outbox> {
        std::sync::Arc::new(self.kit.clone())
    }

    /// Changes with every commit of this process.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.kit.commits()
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}
