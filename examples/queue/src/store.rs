//! Where the queue keeps its state, and what each change guarantees.
//!
//! [`Store`] speaks in verbs of the domain. It runs on SQLite and on PostgreSQL; nothing above it knows which. What the
//! two have to provide is the narrow trait in `store/sql.rs`; their statements stand in `store/sqlite.rs` and
//! `store/postgres.rs`, where both are alike in `store/reads.rs`.
//! `store/contract.rs` is the suite that both have to pass.
//!
//! # What holds for every change
//! - One transaction writes a task, its place among the waiting or held runs, what follows for dependents and for the
//!   group, and the events that tell of it (`outbox`). A crash leaves all of it or nothing. When a method returns, the
//!   change is durable.
//! - Nobody gets hold of a transaction: the store locks and loads, asks the pure life cycle ([`Task::apply`]), and
//!   writes what it says.
//! - Requests that arrive while others are being committed share the next transaction (`store/batch.rs`,
//!   `store/work.rs`): each statement serves the whole batch.
//! - Time is an argument.

use std::sync::Arc;

use service_kit::outbox::{POSTGRES_TABLE, SQLITE_TABLE};
use service_kit::store::{self as kit, Database, Schema};
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::artifact::{Artifact, ArtifactRefusal};
use crate::definition::NewTask;
use crate::task::{Event, Refusal, Task, Worker};
use crate::waiters::Waiters;

#[cfg(feature = "postgres")]
mod announcer;
mod artifacts;
mod batch;
#[cfg(test)]
mod contract;
mod expiry;
mod groups;
mod outbox;
mod positions;
#[cfg(feature = "postgres")]
mod postgres;
mod reads;
mod rows;
mod sql;
mod sqlite;
mod work;
mod workers;
mod writes;

use self::batch::{Answer, Lanes, Op};
pub use self::reads::{ClaimedRun, Counts, LeaseEnd, Part, PendingRun, Place};
use self::sql::{Backend, Sql};
use self::work::Wanted;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "queue",
    &[
        ("0001_tasks.sql", include_str!("../migrations/sqlite/0001_tasks.sql")),
        ("0002_outbox.sql", SQLITE_TABLE),
        ("0003_runs_in_tasks.sql", include_str!("../migrations/sqlite/0003_runs_in_tasks.sql")),
    ],
    &[
        ("0001_tasks.sql", include_str!("../migrations/postgres/0001_tasks.sql")),
        ("0002_outbox.sql", POSTGRES_TABLE),
        ("0003_runs_in_tasks.sql", include_str!("../migrations/postgres/0003_runs_in_tasks.sql")),
    ],
);

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database fails.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The shared handle to the database fails.
    #[error("the store failed: {0}")]
    Store(#[source] kit::StoreError),
    /// A batch failed for a reason that another request of it gave.
    #[error("the transaction failed: {0}")]
    Batch(String),
    /// What is stored cannot be read.
    #[error("the database holds an unreadable {column}: {value}")]
    Corrupt {
        /// Where.
        column: &'static str,
        /// What.
        value: String,
    },
    /// A batch cannot be carried out without locks; it is carried out with them. Nobody outside sees this.
    #[error("what was seen has changed")]
    Surprise,
    /// Something that was just written is not there.
    #[error("{0} is not where it was written")]
    Lost(&'static str),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn corrupt(column: &'static str, value: &dyn std::fmt::Display) -> Self {
        Self::Corrupt { column, value: value.to_string() }
    }
}

impl From<kit::StoreError> for StoreError {
    fn from(error: kit::StoreError) -> Self {
        match error {
            kit::StoreError::Database(error) => Self::Database(error),
            kit::StoreError::Unreadable { column, value } => Self::Corrupt { column, value },
            other => Self::Store(other),
        }
    }
}

/// Why a task is not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateRefusal {
    /// There is a task of this id with another definition.
    #[error("task {0} exists already with a different definition")]
    Exists(TaskId),
    /// The group belongs to another scheduler.
    #[error("task group {group} has schedulerId {scheduler_id:?}, which all its tasks must have")]
    OtherScheduler {
        /// Which group.
        group: TaskId,
        /// Its scheduler.
        scheduler_id: String,
    },
    /// The group is closed.
    #[error("task group {0} is sealed: it takes no new tasks")]
    Sealed(TaskId),
    /// Tasks that it depends on are missing or will be.
    #[error("dependencies cannot be used: {}", describe(missing, expiring))]
    Dependencies {
        /// They do not exist.
        missing: Vec<TaskId>,
        /// They expire before the deadline of the task.
        expiring: Vec<TaskId>,
    },
}

/// A task may have ten thousand dependencies: these many are named of those that cannot be used.
const NAMED: usize = 20;

fn describe(missing: &[TaskId], expiring: &[TaskId]) -> String {
    let say = |ids: &[TaskId], one: &str, several: &str| {
        let verb = if ids.len() == 1 { one } else { several };
        let named = ids.iter().take(NAMED).map(TaskId::to_string).collect::<Vec<_>>().join(", ");
        let more = ids.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (!ids.is_empty()).then(|| format!("{named}{more} {verb}"))
    };
    let missing = say(missing, "does not exist", "do not exist");
    let expiring = say(expiring, "expires before the deadline of the task", "expire before the deadline of the task");
    missing.into_iter().chain(expiring).collect::<Vec<_>>().join(", ")
}

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyRefusal {
    /// There is no such task.
    #[error("task {0} does not exist")]
    NoSuchTask(TaskId),
    /// The life cycle does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A run that a worker has got.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The task, now running.
    pub task: Task,
    /// Which run.
    pub run: RunId,
    /// The text of the definition.
    pub definition: String,
}

/// The state of the queue. Cloning gives another handle to the same store.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    lanes: Lanes,
    waiters: Arc<Waiters>,
    new_events: watch::Sender<u64>,
    tracker: TaskTracker,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// The database cannot be opened, or has been written by a newer version.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let backend: Arc<dyn Backend> = match database {
            Database::Memory | Database::Sqlite(_) => Arc::new(sqlite::Sqlite::open(database).await?),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Arc::new(postgres::Postgres::open(database).await?),
            #[cfg(not(feature = "postgres"))]
            Database::Postgres(_) => return Err(kit::StoreError::NoPostgres(database.clone()).into()),
        };
        let waiters = Arc::new(Waiters::default());
        let new_events = watch::Sender::new(0);
        let tracker = TaskTracker::new();
        let lanes = Lanes::start(&backend, &waiters, &new_events, &tracker);
        Ok(Self { backend, lanes, waiters, new_events, tracker })
    }

    /// Those who wait for runs in this process; woken by every change that makes runs pending.
    #[must_use]
    pub fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Waits until another process has made runs pending, and names their task queue, or none if it may be any. Without
    /// other processes it never returns.
    pub async fn next_wake(&self) -> Option<String> {
        self.backend.next_wake().await
    }

    /// Creates a task, unless it exists: the same definition once more is a success, a different one is refused.
    ///
    /// Atomic: the task, its group if it is the first of it, its dependencies (checked and counted under locks, so that
    /// one that is resolved at the same time is not missed), and, if nothing is to be waited for, its first run.
    ///
    /// # Errors
    /// The outer error is the store's; the inner says why there is no such task now.
    pub async fn create(&self, new: NewTask, now: Timestamp) -> Result<Result<Task, CreateRefusal>, StoreError> {
        match self.lanes.send(Op::Create(Box::new(new), now)).await? {
            Answer::Created(answer) => Ok(answer),
            _ => Err(StoreError::Lost("the answer")),
        }
    }

    /// Lets an event happen to a task and gives the task afterwards.
    ///
    /// Atomic: the task, its place among waiting and held runs; when it is resolved also the release of every dependent
    /// that waited for it alone, and the resolution of its group.
    ///
    /// # Errors
    /// The outer error is the store's; the inner says why nothing has happened.
    pub async fn apply(
        &self,
        task_id: TaskId,
        event: Event,
        now: Timestamp,
    ) -> Result<Result<Task, ApplyRefusal>, StoreError> {
        match self.lanes.send(Op::Apply(task_id, event, now)).await? {
            Answer::Applied(answer) => Ok(answer),
            _ => Err(StoreError::Lost("the answer")),
        }
    }

    /// Takes up to `count` waiting runs of the task queue, the most urgent first, among equals the oldest first; none
    /// past its deadline. Fewer where their definitions would be too many bytes together; where one waits, though, somebody
    /// gets it, and those who wait are told of the rest.
    ///
    /// Atomic: no run is given to two workers, whatever the number of claimers and processes. Does not wait: see
    /// [`Store::waiters`].
    ///
    /// # Errors
    /// The store's.
    pub async fn claim(
        &self,
        task_queue_id: &str,
        worker: &Worker,
        count: u32,
        taken_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let wanted =
            Wanted { task_queue_id: task_queue_id.to_owned(), worker: worker.clone(), count, now, taken_until };
        match self.lanes.send(Op::Claim(wanted)).await? {
            Answer::Claimed(answer) => Ok(answer),
            _ => Err(StoreError::Lost("the answer")),
        }
    }

    /// Creates an artifact, or replaces one as far as [`Artifact::replacing`] allows, and gives what is kept.
    ///
    /// Atomic: the state of the run is checked under the task's lock.
    ///
    /// # Errors
    /// The outer error is the store's; the inner says why the artifact is refused.
    pub async fn put_artifact(
        &self,
        artifact: Artifact,
        now: Timestamp,
    ) -> Result<Result<Artifact, ArtifactRefusal>, StoreError> {
        match self.lanes.send(Op::Artifact(Box::new(artifact), now)).await? {
            Answer::Artifact(answer) => Ok(answer),
            _ => Err(StoreError::Lost("the answer")),
        }
    }

    /// Finishes what is under way and closes the database.
    pub async fn close(&self) {
        self.lanes.close();
        self.tracker.close();
        self.tracker.wait().await;
        self.backend.close().await;
    }

    async fn reader(&self) -> Result<Box<dyn Sql>, StoreError> {
        self.backend.reader().await
    }
}
