//! Tasks that are claimed, but of which the engine does not know yet what they need.
//!
//! What a task asks for is only known once it is claimed. Where an engine has few of something, the worker claims no more tasks
//! than could all have one: those under way count as if they did until the engine has seen their payloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct UndecidedTasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tasks: AtomicUsize,
    fewer: Notify,
}

impl UndecidedTasks {
    /// One more, until the answer is dropped.
    pub(super) fn one_more(&self) -> Undecided {
        self.0.tasks.fetch_add(1, Ordering::SeqCst);
        Undecided(self.0.clone())
    }

    /// How many more may be claimed where the engine could run `spare`.
    pub(super) fn left_of(&self, spare: impl FnOnce() -> Option<usize>) -> usize {
        // In this order, so that one that takes something in between is counted twice rather than not at all.
        let tasks = self.0.tasks.load(Ordering::SeqCst);
        spare().map_or(usize::MAX, |spare| spare.saturating_sub(tasks))
    }

    /// Wait until one is decided, also if that was before anybody waited. Cancel safe.
    pub(super) async fn fewer(&self) {
        self.0.fewer.notified().await;
    }
}

/// One task that may need anything.
#[derive(Debug)]
pub(super) struct Undecided(Arc<Inner>);

impl Drop for Undecided {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::SeqCst);
        self.0.fewer.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_that_may_need_anything_are_counted_until_they_are_decided() {
        let tasks = UndecidedTasks::default();
        let (first, second) = (tasks.one_more(), tasks.one_more());
        let left = |spare| tasks.left_of(|| spare);
        assert_eq!((left(Some(3)), left(Some(1)), left(None)), (1, 0, usize::MAX));
        drop(first);
        tasks.fewer().await;
        assert_eq!(left(Some(1)), 0);
        drop(second);
        assert_eq!(left(Some(1)), 1);
    }
}
