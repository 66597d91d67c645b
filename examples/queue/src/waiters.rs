//! Those who wait for work, by task queue.
//!
//! Whoever makes a run pending wakes as many waiters as there are runs. A waiter that is woken only looks again; that
//! it finds something is not said. A claimer registers before it looks, so that nothing can slip in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Waiters of this process.
#[derive(Debug, Default)]
pub struct Waiters {
    queues: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Waiters {
    /// The bell of a task queue. Keep it while waiting.
    pub fn bell(&self, task_queue_id: &str) -> Arc<Notify> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(task_queue_id.to_owned()).or_default())
    }

    /// Wakes up to `count` waiters of the task queue.
    pub fn wake(&self, task_queue_id: &str, count: usize) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bell) = queues.get(task_queue_id) else { return };
        let waiting = Arc::strong_count(bell) - 1;
        if waiting == 0 {
            // Nobody is there; the next one looks before it waits.
            queues.remove(task_queue_id);
            return;
        }
        for _ in 0..count.min(waiting) {
            bell.notify_one();
        }
    }

    /// The task queues that somebody waits at.
    pub fn queues(&self) -> Vec<String> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().filter(|(_, bell)| Arc::strong_count(bell) > 1).map(|(queue, _)| queue.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn each_run_wakes_one_waiter() {
        let waiters = Waiters::default();
        let (one, two) = (waiters.bell("p/w"), waiters.bell("p/w"));
        let (mut first, mut second) = (pin!(one.notified()), pin!(two.notified()));
        first.as_mut().enable();
        second.as_mut().enable();
        waiters.wake("p/w", 1);
        first.await;
        assert!(futures_util::poll!(&mut second).is_pending());
        waiters.wake("other/queue", 1);
        assert!(futures_util::poll!(&mut second).is_pending());
        waiters.wake("p/w", 5);
        second.await;
    }

    #[test]
    fn bells_without_waiters_are_forgotten() {
        let waiters = Waiters::default();
        drop(waiters.bell("p/w"));
        assert!(waiters.queues().is_empty());
        waiters.wake("p/w", 1);
        assert!(waiters.queues.lock().unwrap().is_empty());
    }
}
