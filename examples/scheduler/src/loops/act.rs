//! Has the queue do what is wanted: release what was held back, run again what failed, cancel what is to end.
//!
//! What is wanted is part of the state of the tasks, and goes away when the queue has done it. So this can be repeated after
//! any failure, and by several processes at once: to schedule or to cancel twice is to do it once. Before a task is run again
//! the queue is asked whether the run is there by now, since a run that was asked for twice could be had twice.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster::queue::{Queue, TaskStatus};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::{Error, chain};
use tokio::sync::watch;

use crate::node::Seen;
use crate::store::{Store, Wanted};

/// How many tasks one step looks at.
const PORTION: usize = 256;

/// How many requests are on their way at once.
const CONCURRENCY: usize = 16;

/// Another process may have left something, so it is looked this often.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: SharedClock,
}

/// What the queue made of a wish.
enum Outcome {
    /// This is where the task stands.
    Now(TaskStatus),
    /// It will never do that.
    Never(Error),
}

/// Why something is still wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the queue does not do what is wanted")]
    Queue(#[source] Box<Error>),
}

impl Sweep for Act {
    const NAME: &'static str = "acts on tasks";
    type Error = ActError;

    /// Does all that is wanted, except what the queue does not answer to.
    async fn step(&self) -> Result<Next, ActError> {
        let (mut after, mut left) = (None, None);
        loop {
            let wanted = self.store.wanted(after, PORTION).await?;
            let Some(last) = wanted.last() else {
                return match left {
                    None => Ok(Next::At(self.clock.now() + SWEEP)),
                    Some(error) => Err(ActError::Queue(Box::new(error))),
                };
            };
            after = Some(*last);
            let acts = stream::iter(wanted).map(|wanted| self.act(wanted));
            let failed: Vec<Option<Error>> = acts.buffer_unordered(CONCURRENCY).try_collect().await?;
            left = failed.into_iter().flatten().last().or(left);
        }
    }

    fn hints(&self) -> Option<watch::Receiver<u64>> {
        Some(self.store.commits())
    }
}

impl Act {
    async fn act(&self, wanted: Wanted) -> Result<Option<Error>, StoreError> {
        let asked = match wanted.run_after {
            Some(after) => self.run(wanted, after).await,
            None => self.queue.cancel_task(&wanted.task_id).await.map(|answer| answer.status),
        };
        let outcome = match asked {
            Ok(status) => Outcome::Now(status),
            // The deadline has passed, or there were too many runs, or the task is gone.
            Err(error) if error.is_conflict() || error.is_not_found() => Outcome::Never(error),
            Err(error) => return Ok(Some(error)),
        };
        self.note(wanted, outcome).await?;
        Ok(None)
    }

    /// Sees to it that there is a run beyond so many.
    async fn run(&self, wanted: Wanted, after: u32) -> Result<TaskStatus, Error> {
        let Wanted { task_id, .. } = wanted;
        if after == 0 {
            return Ok(self.queue.schedule_task(&task_id).await?.status);
        }
        let status = self.queue.status(&task_id).await?.status;
        if status.runs.len() > after as usize {
            return Ok(status);
        }
        Ok(self.queue.rerun_task(&task_id).await?.status)
    }

    async fn note(&self, wanted: Wanted, outcome: Outcome) -> Result<(), StoreError> {
        let Wanted { graph_id, task_id, run_after } = wanted;
        let now = self.clock.now();
        match (outcome, run_after) {
            (Outcome::Now(status), _) => match Seen::of(&status) {
                Some(seen) => self.store.observe(graph_id, task_id, seen, now).await,
                None => Ok(()),
            },
            (Outcome::Never(error), Some(after)) => {
                tracing::warn!(task.id = %task_id, error = %chain(&error), "a task is not run again");
                self.store.give_up(graph_id, task_id, after, now).await
            }
            (Outcome::Never(_), None) => self.store.cannot_cancel(graph_id, task_id, now).await,
        }
    }
}
