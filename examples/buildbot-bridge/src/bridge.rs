//! The two banks: a Buildbot master and the deployment that its tasks come from.

use std::sync::Arc;

use taskcluster::queue::Queue;

use crate::buildbot::{Buildbot, BuildbotError};

/// What all runs of a bridge have in common.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub(crate) buildbot: Arc<Buildbot>,
    /// Called with the bridge's own credentials: a task's allow neither to ask for its runs nor to cancel it.
    pub(crate) queue: Queue,
    pub(crate) scheduler: String,
    pub(crate) restricted: Vec<String>,
}

impl Bridge {
    /// Builds are ordered from `buildbot` through its `ForceScheduler` of the name `scheduler`, for tasks of `queue`, which is called
    /// with the bridge's own credentials.
    pub fn new(buildbot: Buildbot, scheduler: impl Into<String>, queue: Queue) -> Self {
        Self { buildbot: Arc::new(buildbot), queue, scheduler: scheduler.into(), restricted: Vec::new() }
    }

    /// Builders that only tasks with a scope for them may use, by name; `*` at the end of one stands for any end.
    #[must_use]
    pub fn restrict(mut self, builders: impl IntoIterator<Item = String>) -> Self {
        self.restricted.extend(builders);
        self
    }

    /// Whether the master answers, and has the scheduler.
    ///
    /// # Errors
    /// It does not, or has not.
    pub(crate) async fn greet(&self) -> Result<(), BuildbotError> {
        self.buildbot.scheduler(&self.scheduler).await.map(drop)
    }

    pub(crate) fn is_restricted(&self, builder: &str) -> bool {
        self.restricted.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => builder.starts_with(start),
            None => builder == pattern,
        })
    }
}
