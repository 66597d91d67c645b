//! Asks the queue about tasks of which nothing was heard for long.
//!
//! Events only make it faster: what they tell is found here as well. After events may have been missed, all is asked for.

use taskcluster::queue::{Queue, TaskIdsRequest};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};

use crate::node::Seen;
use crate::store::Store;

/// How many tasks are asked about at once, which is what the queue takes at most.
const PORTION: usize = 1000;

/// How often it is looked whether there are any.
const EVERY: std::time::Duration = std::time::Duration::from_secs(5);

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
        let tasks = TaskIdsRequest::new(due.iter().map(|(_, task)| *task));
        let mut token = None;
        loop {
            let page = self.queue.statuses(&tasks);
            let page = match token {
                Some(token) => page.continuation_token(token).await?,
                None => page.await?,
            };
            for entry in &page.statuses {
                if let Some(seen) = Seen::of(&entry.status) {
                    self.store.observe(entry.status.task_group_id, entry.status.task_id, seen, now).await?;
                }
            }
            token = page.continuation_token;
            if token.is_none() {
                break;
            }
        }
        // What the queue does not know any more it will never tell of; the graph keeps it until it expires itself.
        self.store.looked(due, now).await?;
        Ok(())
    }
}
