//! Asks the queue about tasks of which nothing was heard for long.
//!
//! Events only make it faster: what they tell is found here as well. After events may have been missed, all is asked for.

use futures_util::StreamExt as _;
use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster::queue::{Queue, TaskIdsRequest};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use crate::node::Seen;
use crate::store::Store;

/// How many tasks are asked about at once, which is what the queue takes at most.
const PORTION: usize = 1000;

/// How often it is looked whether there are any.
const EVERY: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: SharedClock,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the queue does not say where tasks stand")]
    Queue(#[from] taskcluster_core::Error),
}

impl Sweep for Ask {
    const NAME: &'static str = "questions to the queue";
    type Error = AskError;

    async fn step(&self) -> Result<Next, AskError> {
        let now = self.clock.now();
        let due = self.store.due(now, PORTION).await?;
        if !due.is_empty() {
            self.ask(&due, now).await?;
        }
        Ok(if due.len() < PORTION { Next::At(now + EVERY) } else { Next::Now })
    }
}

impl Ask {
    async fn ask(&self, due: &[(TaskId, TaskId)], now: Timestamp) -> Result<(), AskError> {
        let tasks = TaskIdsRequest::new().with_task_ids(due.iter().map(|(_, task)| *task));
        let mut statuses = self.queue.statuses(&tasks).stream();
        while let Some(entry) = statuses.next().await {
            let status = entry?.status;
            if let Some(seen) = Seen::of(&status) {
                self.store.observe(status.task_group_id, status.task_id, seen, now).await?;
            }
        }
        // What the queue does not know any more it will never tell of; the graph keeps it until it expires itself.
        self.store.looked(due, now).await?;
        Ok(())
    }
}
