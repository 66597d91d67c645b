//! Puts completed tasks into the index, as their definitions want it.
//!
//! A task waits in the database until the queue was asked for its definition, however long the queue is away, and is forgotten in
//! the transaction that inserts its entries. So nothing is lost by a crash at any place, and doing it twice changes
//! nothing. Any number of processes may do it: which entry stays does not depend on who comes first.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster::queue::{Queue, TaskDefinition};
use taskcluster_core::clock::SharedClock;
use tokio::sync::watch;

use crate::finished::Finished;
use crate::store::{Store, Waiting};

/// How many tasks one step looks at.
const PORTION: usize = 100;

/// How many definitions are asked for at once.
const CONCURRENCY: usize = 8;

/// Another process may have left something, so it is looked this often.
const SWEEP: Duration = Duration::from_secs(5);

/// Asks for definitions and inserts entries.
#[derive(Clone, Debug)]
pub(crate) struct Settler {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: SharedClock,
}

/// Why completed tasks wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the queue does not answer")]
    Queue(#[source] Box<taskcluster_core::Error>),
}

impl Sweep for Settler {
    const NAME: &'static str = "indexing of completed tasks";
    type Error = SettleError;

    /// Settles everything that waits, except what the queue does not answer to.
    async fn step(&self) -> Result<Next, SettleError> {
        let (mut after, mut left) = (0, None);
        loop {
            let waiting = self.store.waiting(after, PORTION).await?;
            let Some(last) = waiting.last() else {
                return match left {
                    None => Ok(Next::At(self.clock.now() + SWEEP)),
                    Some(error) => Err(SettleError::Queue(Box::new(error))),
                };
            };
            after = last.id;
            let asked = waiting.into_iter().map(|waiting| async move { (waiting, self.ask(waiting).await) });
            let mut asked = stream::iter(asked).buffer_unordered(CONCURRENCY);
            while let Some((waiting, definition)) = asked.next().await {
                match definition {
                    Ok(definition) => self.settle(waiting, definition.as_ref()).await?,
                    Err(error) => left = Some(error),
                }
            }
        }
    }

    fn hints(&self) -> Option<watch::Receiver<u64>> {
        Some(self.store.commits())
    }
}

impl Settler {
    /// The definition of a task, or nothing if the task is gone.
    async fn ask(&self, waiting: Waiting) -> Result<Option<TaskDefinition>, taskcluster_core::Error> {
        match self.queue.task(&waiting.finished.task_id).await {
            Ok(definition) => Ok(Some(definition)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn settle(&self, waiting: Waiting, definition: Option<&TaskDefinition>) -> Result<(), StoreError> {
        let (task_id, now) = (waiting.finished.task_id, self.clock.now());
        // A clock that was ahead must not keep the name for longer than it was.
        let finished = Finished { task_id, since: waiting.finished.since.min(now) };
        let (entries, faults) = match definition {
            Some(definition) => finished.entries(definition),
            None => (Vec::new(), vec!["the queue does not know it any more".to_owned()]),
        };
        for fault in faults {
            tracing::warn!(task.id = %task_id, fault, "a completed task is not indexed as it wants");
        }
        let count = entries.len();
        self.store.settle(waiting.id, entries, now).await?;
        tracing::debug!(task.id = %task_id, entries = count, "a completed task was indexed");
        Ok(())
    }
}
