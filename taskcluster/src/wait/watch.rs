//! When it is worth looking again.

use std::time::Duration;

use taskcluster_core::{Caller, TaskId};

/// Without events: the first pause between two looks, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Says when to look again: after an event, or after a pause.
#[derive(Debug)]
pub(super) struct Watch {
    pause: Duration,
    #[cfg(feature = "events")]
    ears: Option<ears::Ears>,
}

impl Watch {
    /// A watch over a task. What happens after this returns is not missed.
    #[cfg_attr(not(feature = "events"), allow(unused_variables, reason = "nothing is heard"))]
    pub(super) async fn over_task(caller: &Caller, task_id: &TaskId) -> Self {
        Self {
            pause: FIRST_PAUSE,
            #[cfg(feature = "events")]
            ears: ears::Ears::of(caller, ears::task(task_id)).await,
        }
    }

    /// A watch over a task group. What happens after this returns is not missed.
    #[cfg_attr(not(feature = "events"), allow(unused_variables, reason = "nothing is heard"))]
    pub(super) async fn over_group(caller: &Caller, task_group_id: &TaskId) -> Self {
        Self {
            pause: FIRST_PAUSE,
            #[cfg(feature = "events")]
            ears: ears::Ears::of(caller, ears::group(task_group_id)).await,
        }
    }

    /// Waits until it is worth looking again. Without events that is after `at_least`, or longer.
    pub(super) async fn changed(&mut self, at_least: Duration) {
        #[cfg(feature = "events")]
        if let Some(ears) = &mut self.ears
            && ears.heard(at_least).await
        {
            self.pause = FIRST_PAUSE;
            return;
        }
        tokio::time::sleep(self.pause.max(at_least)).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        #[cfg(feature = "events")]
        if let Some(ears) = &mut self.ears {
            ears.listen_again().await;
        }
    }
}

#[cfg(feature = "events")]
mod ears {
    use std::sync::Arc;
    use std::time::Duration;

    use taskcluster_core::{Caller, TaskId, chain};
    use tokio::time::{Instant, timeout};

    use crate::events::{Binding, Bus, Hears, Subscription};
    use crate::queue::events::{TaskCompleted, TaskException, TaskFailed, TaskGroupResolved};

    /// With events: how long to wait for one before looking anyway.
    const SWEEP: Duration = Duration::from_secs(30);

    /// How long it may take to begin to listen; looking must not wait for a bus that is not there.
    const SUBSCRIBING: Duration = Duration::from_secs(10);

    /// How long to do without a bus that could not be listened to.
    const AGAIN: Duration = Duration::from_secs(30);

    pub(super) fn task(id: &TaskId) -> Vec<Binding> {
        vec![
            Binding::new(TaskCompleted::EXCHANGE.exchange, TaskCompleted::binding().task_id(id).pattern()),
            Binding::new(TaskFailed::EXCHANGE.exchange, TaskFailed::binding().task_id(id).pattern()),
            Binding::new(TaskException::EXCHANGE.exchange, TaskException::binding().task_id(id).pattern()),
        ]
    }

    pub(super) fn group(id: &TaskId) -> Vec<Binding> {
        let pattern = TaskGroupResolved::binding().task_group_id(id).pattern();
        vec![Binding::new(TaskGroupResolved::EXCHANGE.exchange, pattern)]
    }

    /// A bus, and what is heard over it at the moment.
    #[derive(Debug)]
    pub(super) struct Ears {
        bus: Arc<dyn Bus>,
        bindings: Vec<Binding>,
        messages: Option<Subscription>,
        tried: Instant,
    }

    impl Ears {
        /// Listens, if the caller has a bus.
        pub(super) async fn of(caller: &Caller, bindings: Vec<Binding>) -> Option<Self> {
            let bus = Hears::bus_of(caller)?;
            let mut ears = Self { bus, bindings, messages: None, tried: Instant::now() };
            ears.listen().await;
            Some(ears)
        }

        /// Waits for an event, or for the time to look anyway. `false`, at once or after a while, if nothing can be
        /// heard at the moment.
        pub(super) async fn heard(&mut self, at_least: Duration) -> bool {
            let Some(messages) = &mut self.messages else { return false };
            match timeout(SWEEP.max(at_least), messages.next()).await {
                Err(_) | Ok(Some(Ok(_))) => true,
                Ok(Some(Err(error))) if error.goes_on() => true,
                // It may say so again and again.
                Ok(Some(Err(error))) => {
                    tracing::debug!(error = %chain(&error), "no events at the moment");
                    false
                }
                Ok(None) => {
                    self.messages = None;
                    false
                }
            }
        }

        /// Listens again, where that ended, now and then.
        pub(super) async fn listen_again(&mut self) {
            if self.messages.is_none() && self.tried.elapsed() >= AGAIN {
                self.listen().await;
            }
        }

        async fn listen(&mut self) {
            match timeout(SUBSCRIBING, self.bus.subscribe(self.bindings.clone())).await {
                Ok(Ok(messages)) => self.messages = Some(messages),
                Ok(Err(error)) => tracing::warn!(error = %chain(&error), "cannot listen to events; asking instead"),
                Err(_) => tracing::warn!("listening to events takes too long; asking instead"),
            }
            self.tried = Instant::now();
        }
    }
}
