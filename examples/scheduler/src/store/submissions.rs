//! Requests whose tasks are being created, and their end: part of a graph, or nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use service_kit::store::{Sql, StoreError};
use taskcluster::queue::Requires;
use taskcluster::scheduler::TaskGraphState;
use taskcluster_core::time::{Timestamp, days};

use super::progress::{make_ready, save_tally, send, tell};
use super::rows::{OverList, over_list};
use super::{SILENCE, Store, rows};
use crate::graph::{Graph, Origin, Tally};
use crate::messages;
use crate::submission::{Submission, node_digest};

/// What comes of beginning with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the same graph or another")]
pub enum Begun {
    /// Its tasks can be created. It may be that somebody does so already.
    Yes,
    /// Another graph of this identifier is being created.
    Other,
}

/// What comes of accepting tasks.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, clippy::large_enum_variant, reason = "a graph takes tasks or it does not")]
pub enum Accepted {
    /// They are part of this graph.
    Yes(Graph),
    /// The graph was cancelled meanwhile.
    Cancelled,
    /// There is no such graph any more, or there is another one of its identifier.
    Gone,
}

const SELECT_CREATING: &str = "SELECT digest FROM submissions WHERE graph_id = $1 AND creates AND digest <> $2";

const INSERT_SUBMISSION: &str = "INSERT INTO submissions (graph_id, digest, creates, body, begun) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (graph_id, digest) DO NOTHING";

const DELETE_SUBMISSION: &str = "DELETE FROM submissions WHERE graph_id = $1 AND digest = $2";

const SELECT_BEGUN: &str = "SELECT body FROM submissions WHERE begun <= $1 ORDER BY begun, graph_id LIMIT $2";

const TOUCH: &str = "UPDATE submissions SET begun = $3 WHERE graph_id = $1 AND digest = $2";

const INSERT_GRAPH: &str = "INSERT INTO graphs (graph_id, scopes, routes, metadata, tags, digest, leaves_left, blockers, \
     cancelled, submitted, expires) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, FALSE, $7, $7)";

const EXTEND_LIFE: &str = "UPDATE graphs SET expires = $2 WHERE graph_id = $1 AND expires < $2";

const INSERT_LABELS: OverList = over_list!(
    "INSERT INTO labels (graph_id, label) SELECT $2, r.value->>'id' FROM",
    "WHERE TRUE ON CONFLICT (graph_id, label) DO NOTHING"
);

const INSERT_NODES: OverList = over_list!(
    "INSERT INTO nodes (graph_id, task_id, name, digest, deadline, reruns, any_end, leaf, runs, state, failed, forgiven, wish,
         ready, cancel, over, satisfied, due)
     SELECT $2, r.value->>'id', r.value->>'name', r.value->>'digest', CAST(r.value->>'deadline' AS BIGINT),
         CAST(r.value->>'reruns' AS BIGINT), CAST(r.value->>'any' AS INTEGER) = 1, TRUE, 0, 'unscheduled', 0, 0,
         CAST(r.value->>'wish' AS BIGINT), FALSE, FALSE, FALSE, FALSE, $3
     FROM",
    "WHERE TRUE ON CONFLICT (graph_id, task_id) DO NOTHING"
);

const INSERT_EDGES: OverList = over_list!(
    "INSERT INTO edges (graph_id, dependent, required) SELECT $2, r.value->>0, r.value->>1 FROM",
    "WHERE TRUE ON CONFLICT (graph_id, dependent, required) DO NOTHING"
);

/// So many new tasks make the tables another thing than what PostgreSQL knows of them, and it looks by itself a minute later.
const MANY: u64 = 1000;

/// SQLite goes by the keys anyway.
const NOTHING: &str = "SELECT 1";

const FIND_LEAVES: &str = "UPDATE nodes SET leaf = FALSE WHERE graph_id = $1 AND leaf AND EXISTS (
     SELECT 1 FROM edges WHERE edges.graph_id = nodes.graph_id AND edges.required = nodes.task_id)";

const COUNT: &str = "SELECT COUNT(CASE WHEN leaf AND NOT satisfied THEN 1 END) AS leaves_left,
     COUNT(CASE WHEN over AND NOT satisfied THEN 1 END) AS blockers FROM nodes WHERE graph_id = $1";

impl Store {
    /// Notes a request whose tasks are going to be created: from here on somebody sees to it, whatever becomes of this process.
    pub async fn begin(&self, submission: &Submission, now: Timestamp) -> Result<Begun, StoreError> {
        let (graph_id, digest) = (submission.graph_id.to_string(), submission.digest.clone());
        let creates = submission.origin.is_some();
        let body = serde_json::to_string(submission).map_err(|error| StoreError::unreadable("body", error))?;
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    if creates {
                        let other = sql.row(SELECT_CREATING, &[(&graph_id).into(), (&digest).into()]).await?;
                        if other.is_some() {
                            return Ok(Begun::Other);
                        }
                    }
                    let args = [graph_id.into(), digest.into(), creates.into(), body.into(), now.into()];
                    sql.run(INSERT_SUBMISSION, &args).await?;
                    Ok(Begun::Yes)
                })
            })
            .await
    }

    /// Requests that were begun, or last tried, at this time or before, at most `limit`.
    pub async fn begun(&self, until: Timestamp, limit: usize) -> Result<Vec<Submission>, StoreError> {
        let rows = self.kit.rows(SELECT_BEGUN, &[until.into(), limit.into()]).await?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// Notes that a request is tried now.
    pub async fn touch(&self, submission: &Submission, now: Timestamp) -> Result<(), StoreError> {
        let args = [submission.graph_id.to_string().into(), (&submission.digest).into(), now.into()];
        self.kit.run(TOUCH, &args).await?;
        Ok(())
    }

    /// Gives a request up. Its tasks are not part of the graph.
    pub async fn refuse(&self, submission: &Submission) -> Result<(), StoreError> {
        let args = [submission.graph_id.to_string().into(), (&submission.digest).into()];
        self.kit.run(DELETE_SUBMISSION, &args).await?;
        Ok(())
    }

    /// Makes the tasks of a request, all of which the queue has, part of their graph; from here on those that were held back are
    /// released. Nothing changes if they are that already.
    pub async fn accept(&self, submission: &Submission, now: Timestamp) -> Result<Accepted, StoreError> {
        let (scheduler_id, submission) = (self.scheduler_id.clone(), submission.clone());
        self.kit.write(move |sql| Box::pin(async move { accept(sql, &scheduler_id, &submission, now).await })).await
    }

    /// Tells once more that a graph runs, if it does.
    pub async fn tell_again(&self, graph: &Graph) -> Result<(), StoreError> {
        if graph.state != TaskGraphState::Running {
            return Ok(());
        }
        let message = messages::running(graph.status(&self.scheduler_id), &graph.origin.routes);
        self.kit.write(move |sql| Box::pin(async move { send(sql, &[message]).await })).await
    }
}

async fn accept(
    sql: &mut dyn Sql,
    scheduler_id: &str,
    submission: &Submission,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let id = submission.graph_id.to_string();
    let there = sql.row(rows::SELECT_GRAPH, &[(&id).into()]).await?.map(|row| rows::graph(&row)).transpose()?;
    match (&submission.origin, &there) {
        (Some(_), Some(there)) if there.origin.digest == submission.digest => {
            sql.run(DELETE_SUBMISSION, &[(&id).into(), (&submission.digest).into()]).await?;
            return Ok(Accepted::Yes(there.clone()));
        }
        (Some(_), Some(_)) | (None, None) => return Ok(Accepted::Gone),
        (None, Some(there)) if there.cancelled => return Ok(Accepted::Cancelled),
        (None, Some(_)) => {}
        (Some(origin), None) => insert_graph(sql, &id, origin, now).await?,
    }
    let new = insert_tasks(sql, &id, submission, now).await?;
    sql.run(DELETE_SUBMISSION, &[(&id).into(), (&submission.digest).into()]).await?;

    let Some(row) = sql.row(COUNT, &[(&id).into()]).await? else { return Ok(Accepted::Gone) };
    let tally: Tally = rows::tally(&row)?;
    save_tally(sql, &id, tally).await?;
    let Some(row) = sql.row(rows::SELECT_GRAPH, &[(&id).into()]).await? else { return Ok(Accepted::Gone) };
    let graph = rows::graph(&row)?;
    let routes = &graph.origin.routes;
    let mut told = Vec::new();
    if there.is_none() {
        told.push(messages::running(graph.status(scheduler_id), routes));
    } else if new > 0 {
        told.push(messages::extended(graph.status(scheduler_id), routes));
    }
    send(sql, &told).await?;
    let before = there.map_or(TaskGraphState::Running, |there| there.state);
    if graph.state != before {
        tell(sql, scheduler_id, &graph, None).await?;
    }
    Ok(Accepted::Yes(graph))
}

async fn insert_graph(sql: &mut dyn Sql, id: &str, origin: &Origin, now: Timestamp) -> Result<(), StoreError> {
    let text = |value: Value| value.to_string();
    let metadata = serde_json::to_value(&origin.metadata).map_err(|error| StoreError::unreadable("metadata", error))?;
    let args = [
        id.into(),
        text(json!(origin.scopes)).into(),
        text(json!(origin.routes)).into(),
        text(metadata).into(),
        text(json!(origin.tags)).into(),
        (&origin.digest).into(),
        now.into(),
    ];
    sql.run(INSERT_GRAPH, &args).await?;
    let routes = origin.routes.iter().map(|route| super::list::route_label(route));
    let tags = origin.tags.iter().map(|(name, value)| super::list::tag_label(&format!("{name}={value}")));
    let labels: BTreeSet<String> = routes.chain(tags).collect();
    let labels = Value::from_iter(labels.into_iter().map(|label| json!({ "id": label })));
    let statement = rows::on(sql, &INSERT_LABELS);
    sql.run(statement, &[text(labels).into(), id.into()]).await?;
    Ok(())
}

/// Gives how many tasks were new.
async fn insert_tasks(sql: &mut dyn Sql, id: &str, submission: &Submission, now: Timestamp) -> Result<u64, StoreError> {
    let held = submission.held();
    let nodes = submission.nodes.iter().map(|node| {
        let any_end = node.task.requires == Some(Requires::AllResolved);
        json!({
            "id": node.task_id,
            "name": node.task.metadata.name,
            "digest": node_digest(node),
            "deadline": node.task.deadline.as_millis(),
            "reruns": node.reruns.unwrap_or(0),
            "any": u8::from(any_end),
            "wish": held.contains(&node.task_id).then_some(0),
        })
    });
    let nodes = Value::from_iter(nodes).to_string();
    let statement = rows::on(sql, &INSERT_NODES);
    let new = sql.run(statement, &[nodes.into(), id.into(), (now + SILENCE).into()]).await?;
    let edges = submission
        .nodes
        .iter()
        .flat_map(|node| node.requires.iter().flatten().map(move |required| json!([node.task_id, required])));
    let edges = Value::from_iter(edges).to_string();
    let statement = rows::on(sql, &INSERT_EDGES);
    sql.run(statement, &[edges.into(), id.into()]).await?;
    if new >= MANY {
        sql.run(sql.either(NOTHING, "ANALYZE nodes, edges"), &[]).await?;
    }
    sql.run(FIND_LEAVES, &[id.into()]).await?;
    make_ready(sql, id, rows::ids(held)).await?;

    let expires = submission.nodes.iter().map(|node| node.task.expires.unwrap_or(node.task.deadline + days(366))).max();
    if let Some(expires) = expires {
        sql.run(EXTEND_LIFE, &[id.into(), expires.into()]).await?;
    }
    Ok(new)
}
