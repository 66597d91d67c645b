//! A graph of 100,000 tasks: `cargo bench -p taskcluster-scheduler --bench graph`, with `--features postgres` and `TEST_POSTGRES` also on
//! PostgreSQL.
//!
//! The scheduler alone, without a queue: how long it takes to check the graph and to accept it, how long an event takes, 64 of
//! them at once, and what its memory grows by. Each task is heard of three times (pending, running, completed). Beside the events
//! stands the least that each of them can cost: a commit of one row in a database of the same kind, as many at once.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use service_kit::store::{AnyStore, Database, Schema, StoreError};
use taskcluster::queue::{Queue, TaskDefinitionRequest};
use taskcluster::scheduler::{CreateTaskGraphRequest, TaskGraphNode};
use taskcluster_core::Caller;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_scheduler::node::{Seen, State};
use taskcluster_scheduler::store::{Accepted, Store};
use taskcluster_scheduler::submission::Submission;

const TASKS: usize = 100_000;
/// A task requires up to so many of those before it.
const REQUIRES: usize = 3;
const CONCURRENCY: usize = 64;
const SCHEDULER: &str = "bench";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    measure("SQLite", [folder.path().join("a.db"), folder.path().join("b.db")].map(Database::Sqlite)).await?;
    #[cfg(feature = "postgres")]
    if let (Some(one), Some(other)) =
        (service_kit::testing::postgres("scheduler").await, service_kit::testing::postgres("bare").await)
    {
        measure("PostgreSQL", [one, other]).await?;
    }
    Ok(())
}

fn request() -> CreateTaskGraphRequest {
    let now = Timestamp::now();
    let definition: TaskDefinitionRequest = serde_json::from_value(serde_json::json!({
        "taskQueueId": "bench/bench", "created": now, "deadline": now + hours(2),
        "payload": {"image": "debian", "command": ["make", "-C", "/src", "all"], "maxRunTime": 3600},
        "metadata": {"name": "a task", "description": "One of many.", "owner": "me@example.com", "source": "https://example.com"},
    }))
    .expect("a definition");
    let ids: Vec<TaskId> = (0..TASKS).map(|_| TaskId::new()).collect();
    let node = |at: usize| {
        // Those that make three wide levels behind each other.
        let before = (1..=REQUIRES).filter_map(|n| at.checked_sub(n * (TASKS / 10))).map(|at| ids[at]);
        TaskGraphNode::new(ids[at], definition.clone()).with_requires(before)
    };
    let metadata = definition.metadata.clone();
    CreateTaskGraphRequest::new((0..TASKS).map(node), metadata).with_scopes(["*"])
}

async fn measure(name: &str, [database, bare]: [Database; 2]) -> anyhow::Result<()> {
    println!("{name}: a graph of {TASKS} tasks");
    let store = Store::open(&database, SCHEDULER).await?;
    let submission = Submission::create(TaskId::new(), request(), SCHEDULER);
    let queue = Queue::new(Caller::builder("http://localhost").build()?);
    let begun = Instant::now();
    let faults = submission.faults([], &ScopeSet::from(vec!["*"]), &queue, SCHEDULER, Timestamp::now());
    assert!(faults.is_empty(), "{faults:?}");
    println!("  checked in {:.2} s", begun.elapsed().as_secs_f64());

    let now = Timestamp::now();
    let begun = Instant::now();
    store.begin(&submission, now).await?;
    let Accepted::Yes(_) = store.accept(&submission, now).await? else { anyhow::bail!("it is not accepted") };
    println!("  accepted in {:.2} s", begun.elapsed().as_secs_f64());
    let graph_id = submission.graph_id;
    let tasks: Vec<TaskId> = submission.nodes.iter().map(|node| node.task_id).collect();
    drop(submission);

    let memory = resident();
    let begun = Instant::now();
    for state in [State::Pending, State::Running, State::Completed] {
        let seen = Seen { runs: 1, state, failed: 0 };
        let heard = stream::iter(&tasks).map(|task| Ok(store.observe(graph_id, *task, seen, now)));
        heard.try_buffer_unordered(CONCURRENCY).try_for_each(|()| async { Ok(()) }).await?;
    }
    let each = begun.elapsed() / u32::try_from(tasks.len() * 3)?;
    let grown = resident().saturating_sub(memory);
    let state = store.graph(graph_id).await?.map(|graph| graph.state.to_string());
    assert_eq!(state.as_deref(), Some("finished"));
    let least = commits(&bare, tasks.len()).await?;
    println!(
        "  an event in {:.1} µs, a bare commit in {:.1} µs: {:.2} of it; memory {} MiB, grown by {} MiB",
        micros(each),
        micros(least),
        each.as_secs_f64() / least.as_secs_f64(),
        resident() >> 20,
        grown >> 20,
    );
    Ok(())
}

/// The time of a commit of one row.
async fn commits(database: &Database, count: usize) -> Result<Duration, StoreError> {
    const SCHEMA: Schema = Schema::new(
        "bare",
        &[("0001_rows.sql", "CREATE TABLE rows (id TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT")],
        &[("0001_rows.sql", "CREATE TABLE rows (id TEXT PRIMARY KEY, runs BIGINT NOT NULL)")],
    );
    const INSERT: &str = "INSERT INTO rows (id, runs) VALUES ($1, $2)";
    let store = AnyStore::open(database, &SCHEMA.with_changes_in_turn()).await?;
    let begun = Instant::now();
    let store = &store;
    let writes = stream::iter(0..count).map(|at| {
        Ok(async move {
            let id = at.to_string();
            store.run(INSERT, &[id.into(), 1_i64.into()]).await
        })
    });
    writes.try_buffer_unordered(CONCURRENCY).try_for_each(|_| async { Ok(()) }).await?;
    Ok(begun.elapsed() / u32::try_from(count).unwrap_or(u32::MAX))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() << 10
}
