//! How a graph gets on: changes of its tasks, and what follows from them for others, for the graph, and for whoever listens.

use serde_json::{Value, json};
use service_kit::outbox::{self, Message};
use service_kit::store::{Row, Sql, StoreError};
use taskcluster::scheduler::TaskGraphState;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::{SILENCE, Store, rows};
use crate::graph::{Graph, Tally};
use crate::messages;
use crate::node::Node;

/// A task that is different now.
pub(super) struct Changed {
    pub(super) task_id: TaskId,
    pub(super) is_leaf: bool,
    pub(super) before: Node,
    pub(super) now: Node,
}

impl Changed {
    /// The task of this row, if `change` changes anything about it.
    fn of(row: &Row, change: impl FnOnce(Node) -> Node) -> Result<Option<Self>, StoreError> {
        let before = rows::node(row)?;
        let now = change(before);
        let changed = Self { task_id: row.parsed("task_id")?, is_leaf: row.flag("leaf")?, before, now };
        Ok((now != before).then_some(changed))
    }

    /// As a row of the list that [`rows::SAVE_NODES`] takes.
    fn to_row(&self, graph_id: &str, now: Timestamp) -> Value {
        let Node { seen, forgiven, wish, ready, cancel, .. } = self.now;
        json!({
            "graph": graph_id,
            "id": self.task_id,
            "runs": seen.runs,
            "state": seen.state.as_str(),
            "failed": seen.failed,
            "forgiven": forgiven,
            "wish": wish,
            "ready": u8::from(ready),
            "cancel": u8::from(cancel),
            "over": u8::from(self.now.is_over()),
            "satisfied": u8::from(self.now.is_satisfied()),
            "due": if self.now.is_over() { None } else { Some((now + SILENCE).as_millis()) },
        })
    }

    /// Whether others, or it itself, may have waited for this.
    fn may_release(&self) -> bool {
        let waits = self.now.wish.is_some() && !self.now.ready;
        waits || (self.now.is_over(), self.now.is_satisfied()) != (self.before.is_over(), self.before.is_satisfied())
    }
}

impl Store {
    /// Changes one task. The change is told whether the graph was cancelled.
    pub(super) async fn progress(
        &self,
        graph_id: TaskId,
        task_id: TaskId,
        now: Timestamp,
        change: impl FnOnce(Node, bool) -> Node + Send + 'static,
    ) -> Result<(), StoreError> {
        let scheduler_id = self.scheduler_id.clone();
        let (graph_id, task_id) = (graph_id.to_string(), task_id.to_string());
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let Some(graph) = sql.row(rows::SELECT_GRAPH, &[(&graph_id).into()]).await? else { return Ok(()) };
                    let found = sql.row(rows::SELECT_NODE, &[(&graph_id).into(), (&task_id).into()]).await?;
                    let Some(found) = found else { return Ok(()) };
                    let cancelled = graph.flag("cancelled")?;
                    let changed = Changed::of(&found, |node| change(node, cancelled))?;
                    settle(sql, &scheduler_id, &graph, changed.as_slice(), now).await
                })
            })
            .await
    }

    /// Notes that a graph shall not go on: what has not ended is to be cancelled, and nothing is run again. None if there is
    /// no such graph.
    pub async fn cancel(&self, graph_id: TaskId, now: Timestamp) -> Result<Option<Graph>, StoreError> {
        const CANCEL: &str = "UPDATE graphs SET cancelled = TRUE WHERE graph_id = $1";
        let scheduler_id = self.scheduler_id.clone();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let id = graph_id.to_string();
                    sql.run(CANCEL, &[(&id).into()]).await?;
                    change_all(sql, &scheduler_id, &id, rows::SELECT_UNENDED, now, Node::stop).await?;
                    graph(sql, &id).await
                })
            })
            .await
    }

    /// Notes that all tasks of a graph that ended without success shall run again; what was to be cancelled and has not ended
    /// goes on. Gives the graph and the tasks, sorted; none if there is no such graph.
    pub async fn rerun_all(
        &self,
        graph_id: TaskId,
        now: Timestamp,
    ) -> Result<Option<(Graph, Vec<TaskId>)>, StoreError> {
        let scheduler_id = self.scheduler_id.clone();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let id = graph_id.to_string();
                    go_on(sql, &scheduler_id, &id, now).await?;
                    let mut again =
                        change_all(sql, &scheduler_id, &id, rows::SELECT_BLOCKERS, now, Node::again).await?;
                    again.sort_unstable_by_key(TaskId::to_string);
                    Ok(graph(sql, &id).await?.map(|graph| (graph, again)))
                })
            })
            .await
    }

    /// The same of one task, also if it has succeeded. Gives the graph and whether the task runs again, which it does not if it
    /// has not ended; none if there is no such task.
    pub async fn rerun(
        &self,
        graph_id: TaskId,
        task_id: TaskId,
        now: Timestamp,
    ) -> Result<Option<(Graph, bool)>, StoreError> {
        let scheduler_id = self.scheduler_id.clone();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let id = graph_id.to_string();
                    let args = [(&id).into(), task_id.to_string().into()];
                    let Some(found) = sql.row(rows::SELECT_NODE, &args).await? else { return Ok(None) };
                    let Some(row) = sql.row(rows::SELECT_GRAPH, &[(&id).into()]).await? else { return Ok(None) };
                    let changed = Changed::of(&found, |node| if node.is_over() { node.again() } else { node })?;
                    if changed.is_some() {
                        go_on(sql, &scheduler_id, &id, now).await?;
                        settle(sql, &scheduler_id, &row, changed.as_slice(), now).await?;
                    }
                    Ok(graph(sql, &id).await?.map(|graph| (graph, changed.is_some())))
                })
            })
            .await
    }
}

async fn graph(sql: &mut dyn Sql, graph_id: &str) -> Result<Option<Graph>, StoreError> {
    let row = sql.row(rows::SELECT_GRAPH, &[graph_id.into()]).await?;
    row.map(|row| rows::graph(&row)).transpose()
}

/// Takes back that a graph was cancelled.
async fn go_on(sql: &mut dyn Sql, scheduler_id: &str, graph_id: &str, now: Timestamp) -> Result<(), StoreError> {
    const GO_ON: &str = "UPDATE graphs SET cancelled = FALSE WHERE graph_id = $1 AND cancelled";
    if sql.run(GO_ON, &[graph_id.into()]).await? > 0 {
        let keep = |node| Node { cancel: false, ..node };
        change_all(sql, scheduler_id, graph_id, rows::SELECT_STOPPING, now, keep).await?;
    }
    Ok(())
}

/// Changes the tasks of a graph that a statement selects. Gives those that are different now.
async fn change_all(
    sql: &mut dyn Sql,
    scheduler_id: &str,
    graph_id: &str,
    select: &'static str,
    now: Timestamp,
    change: impl Fn(Node) -> Node,
) -> Result<Vec<TaskId>, StoreError> {
    let Some(graph) = sql.row(rows::SELECT_GRAPH, &[graph_id.into()]).await? else { return Ok(Vec::new()) };
    let found = sql.rows(select, &[graph_id.into()]).await?;
    let changed = found.iter().filter_map(|row| Changed::of(row, &change).transpose());
    let changed = changed.collect::<Result<Vec<Changed>, StoreError>>()?;
    settle(sql, scheduler_id, &graph, &changed, now).await?;
    Ok(changed.iter().map(|changed| changed.task_id).collect())
}

/// Writes changes of tasks down with everything that follows from them.
async fn settle(
    sql: &mut dyn Sql,
    scheduler_id: &str,
    graph: &Row,
    changed: &[Changed],
    now: Timestamp,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let graph_id = graph.text("graph_id")?;
    let list = Value::from_iter(changed.iter().map(|changed| changed.to_row(&graph_id, now))).to_string();
    let statement = rows::on(sql, &rows::SAVE_NODES);
    sql.run(statement, &[list.into()]).await?;
    let may_release = rows::ids(changed.iter().filter(|changed| changed.may_release()).map(|changed| changed.task_id));
    make_ready(sql, &graph_id, may_release).await?;

    let before = rows::tally(graph)?;
    let count = |tally: Tally, changed: &Changed| tally.after(changed.is_leaf, &changed.before, &changed.now);
    let after = changed.iter().fold(before, count);
    if after != before {
        save_tally(sql, &graph_id, after).await?;
    }
    if after.state() != before.state() {
        let blocker = changed.iter().find(|changed| changed.now.blocks()).map(|changed| changed.task_id);
        let graph = crate::graph::Graph { state: after.state(), ..rows::graph(graph)? };
        tell(sql, scheduler_id, &graph, blocker).await?;
    }
    Ok(())
}

/// Makes wishes ready that nothing stands in the way of any more: of the tasks in the list, and of what requires them.
pub(super) async fn make_ready(sql: &mut dyn Sql, graph_id: &str, list: String) -> Result<(), StoreError> {
    if list != "[]" {
        let statement = rows::on(sql, &rows::MAKE_READY);
        sql.run(statement, &[list.into(), graph_id.into()]).await?;
    }
    Ok(())
}

pub(super) async fn save_tally(sql: &mut dyn Sql, graph_id: &str, tally: Tally) -> Result<(), StoreError> {
    sql.run(rows::SAVE_TALLY, &[graph_id.into(), tally.leaves_left.into(), tally.blockers.into()]).await?;
    Ok(())
}

/// Tells that a graph has come into its state. The blocker is looked up where it is not known.
pub(super) async fn tell(
    sql: &mut dyn Sql,
    scheduler_id: &str,
    graph: &Graph,
    mut blocker: Option<TaskId>,
) -> Result<(), StoreError> {
    if graph.state == TaskGraphState::Blocked && blocker.is_none() {
        let row = sql.row(rows::SELECT_BLOCKER, &[graph.id.to_string().into()]).await?;
        blocker = row.map(|row| row.parsed("task_id")).transpose()?;
    }
    let message = messages::entered(graph.status(scheduler_id), &graph.origin.routes, blocker);
    send(sql, message.as_slice()).await
}

/// Puts messages into the outbox.
pub(super) async fn send(sql: &mut dyn Sql, messages: &[Message]) -> Result<(), StoreError> {
    outbox::insert(sql, messages).await
}
