//! Group commit: jobs that wait at the same time share a transaction.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Connection, Database, Pool, Transaction};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{StoreError, is_lost};

/// How many jobs may share a transaction. More would let the first one wait too long.
const MAX_BATCH: usize = 128;

/// How many jobs may wait before those who bring more have to.
const QUEUE: usize = 1024;

/// A job with its types forgotten.
pub(super) trait Job<DB: Database>: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Carries it out; `false` means that its changes are to be taken back.
    fn run<'c>(&'c mut self, connection: &'c mut DB::Connection) -> BoxFuture<'c, bool>;
    /// Makes it a failure, whatever it returned.
    fn fail(&mut self, error: StoreError);
    /// Answers it, once the transaction is committed or has failed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Takes jobs to the lanes that carry them out.
#[derive(Debug)]
pub(super) struct Writer<DB: Database> {
    jobs: mpsc::Sender<Box<dyn Job<DB>>>,
}

impl<DB: Database> Clone for Writer<DB> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

/// One connection's share of the work: drains the queue, one transaction after another.
pub(super) struct Lane<DB: Database> {
    pool: Pool<DB>,
    jobs: mpsc::Receiver<Box<dyn Job<DB>>>,
    begin: &'static str,
    always_savepoints: bool,
    commits: watch::Sender<u64>,
    closing: CancellationToken,
}

impl<DB: Database> Writer<DB> {
    /// A writer and the lane that must be run for it.
    ///
    /// After `closing` no more jobs are taken; those that were handed in are still carried out.
    pub(super) fn new(
        pool: Pool<DB>,
        begin: &'static str,
        commits: watch::Sender<u64>,
        closing: CancellationToken,
    ) -> (Self, Lane<DB>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { jobs: sender }, Lane { pool, jobs: receiver, begin, always_savepoints: false, commits, closing })
    }

    /// Hands in a job and waits for its transaction to be committed.
    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut DB::Connection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = TypedJob { work: Some(work), result: None, answer };
        self.jobs.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

struct TypedJob<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<DB, F, T, E> Job<DB> for TypedJob<F, T, E>
where
    DB: Database,
    F: for<'c> FnOnce(&'c mut DB::Connection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run<'c>(&'c mut self, connection: &'c mut DB::Connection) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            // The closure itself may panic as well as its future.
            let result = AssertUnwindSafe(async move { work(connection).await }).catch_unwind().await;
            self.result = Some(result.unwrap_or_else(|panic| Err(panicked(&*panic).into())));
            matches!(self.result, Some(Ok(_)))
        })
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Closed.into()),
            // Also the refusals: they may rest on changes that were not committed.
            (Err(error), _) => Err(error.into()),
        };
        // Whoever stopped waiting does not need the answer.
        let _ = self.answer.send(result);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without a message"), "a job of the store panicked");
    StoreError::Panicked
}

impl<DB: Database> Lane<DB>
where
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    /// The same, with a savepoint even around a job that has a transaction to itself.
    #[cfg(feature = "postgres")]
    pub(super) fn always_with_savepoints(mut self) -> Self {
        self.always_savepoints = true;
        self
    }

    /// Works until all writers are gone or the store is closed.
    pub(super) async fn work(mut self) {
        let mut batch = Vec::new();
        loop {
            let received = tokio::select! {
                biased;
                received = self.jobs.recv_many(&mut batch, MAX_BATCH) => received,
                () = self.closing.cancelled(), if !self.jobs.is_closed() => {
                    self.jobs.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            batch.retain(|job| !job.is_abandoned());
            if batch.is_empty() {
                continue;
            }
            let committed = self.transaction(&mut batch).await.map_err(|error| {
                tracing::warn!(error = %error, jobs = batch.len(), "a transaction failed");
                error.to_string()
            });
            if committed.is_ok() {
                self.commits.send_modify(|count| *count += 1);
            }
            for job in batch.drain(..) {
                job.finish(committed.clone().map_err(StoreError::NotCommitted));
            }
        }
    }

    async fn transaction(&self, batch: &mut [Box<dyn Job<DB>>]) -> Result<(), sqlx::Error> {
        loop {
            let mut connection = self.pool.acquire().await?;
            match self.transaction_on(&mut connection, batch).await {
                Ok(()) => return Ok(()),
                // Nothing has happened yet, and the pool has a living connection, or makes one, or says that it cannot.
                Err(Broken::AtBegin(error)) if is_lost(&error) || is_miscounted(&error) => connection.close_on_drop(),
                Err(Broken::AtBegin(error) | Broken::Within(error)) => return Err(error),
            }
        }
    }

    async fn transaction_on(
        &self,
        connection: &mut DB::Connection,
        batch: &mut [Box<dyn Job<DB>>],
    ) -> Result<(), Broken> {
        let begun = connection.begin_with(AssertSqlSafe(self.begin)).await;
        let mut transaction = begun.map_err(Broken::AtBegin)?;
        if let [alone] = batch
            && !self.always_savepoints
        {
            let changed = alone.run(&mut transaction).await;
            return end(transaction, changed).await;
        }
        let mut changed = false;
        for job in batch {
            let mut savepoint: Transaction<'_, DB> = (*transaction).begin().await?;
            if job.run(&mut savepoint).await {
                // It fails where a statement of the job failed and the job went on regardless.
                match savepoint.commit().await {
                    Ok(()) => changed = true,
                    Err(error @ sqlx::Error::Database(_)) => job.fail(error.into()),
                    Err(error) => return Err(error.into()),
                }
            } else {
                savepoint.rollback().await?;
            }
        }
        end(transaction, changed).await
    }
}

async fn end<DB: Database>(transaction: Transaction<'_, DB>, changed: bool) -> Result<(), Broken> {
    let ended = if changed { transaction.commit().await } else { transaction.rollback().await };
    ended.map_err(Broken::Within)
}

/// SQLite ends a transaction by itself when the disk is full, and the library then counts one too many for ever: the
/// connection is of no use any more.
fn is_miscounted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::InvalidSavePointStatement)
}

/// Where a transaction broke off.
enum Broken {
    /// No job has been begun.
    AtBegin(sqlx::Error),
    /// Some may have been.
    Within(sqlx::Error),
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self::Within(error)
    }
}
