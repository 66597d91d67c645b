//! When it is worth looking again.

use std::time::Duration;

use taskcluster_core::{Caller, TaskId};

/// Without events: the first pause between two looks, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The end of a task that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) task_id: TaskId,
    pub(super) completed: bool,
}

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

    /// Waits until it is worth looking again: `worth_it` is asked for each task whose end is heard. Without events that
    /// is after `at_least`, or longer.
    #[cfg_attr(not(feature = "events"), allow(unused_variables, reason = "nothing is heard"))]
    pub(super) async fn changed(&mut self, at_least: Duration, worth_it: impl FnMut(Ended) -> bool) {
        #[cfg(feature = "events")]
        if let Some(ears) = &mut self.ears
            && ears.heard(at_least, worth_it).await
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
    use tokio::time::{Instant, timeout, timeout_at};

    use super::Ended;
    use crate::events::{Binding, Bus, Hears, Message, Subscription};
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
        vec![
            Binding::new(TaskCompleted::EXCHANGE.exchange, TaskCompleted::binding().task_group_id(id).pattern()),
            Binding::new(TaskFailed::EXCHANGE.exchange, TaskFailed::binding().task_group_id(id).pattern()),
            Binding::new(TaskException::EXCHANGE.exchange, TaskException::binding().task_group_id(id).pattern()),
            Binding::new(
                TaskGroupResolved::EXCHANGE.exchange,
                TaskGroupResolved::binding().task_group_id(id).pattern(),
            ),
        ]
    }

    /// The end of a task that a message tells.
    fn ended(message: &Message) -> Option<Ended> {
        let completed = message.exchange == TaskCompleted::EXCHANGE.exchange;
        if !completed
            && ![TaskFailed::EXCHANGE.exchange, TaskException::EXCHANGE.exchange].contains(&&*message.exchange)
        {
            return None;
        }
        let place = TaskCompleted::EXCHANGE.routing_key.iter().position(|field| field.name == "taskId")?;
        let task_id = message.routing_key.split('.').nth(place)?.parse().ok()?;
        Some(Ended { task_id, completed })
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

        /// Waits for an event that is worth it, or for the time to look anyway. `false`, at once or after a while, if nothing
        /// can be heard at the moment.
        pub(super) async fn heard(&mut self, at_least: Duration, mut worth_it: impl FnMut(Ended) -> bool) -> bool {
            let Some(messages) = &mut self.messages else { return false };
            let sweep = Instant::now() + SWEEP.max(at_least);
            loop {
                match timeout_at(sweep, messages.next()).await {
                    Err(_) => return true,
                    Ok(Some(Ok(message))) => {
                        if ended(&message).is_none_or(&mut worth_it) {
                            return true;
                        }
                    }
                    Ok(Some(Err(error))) if error.goes_on() => return true,
                    // It may say so again and again.
                    Ok(Some(Err(error))) => {
                        tracing::debug!(error = %chain(&error), "no events at the moment");
                        return false;
                    }
                    Ok(None) => {
                        self.messages = None;
                        return false;
                    }
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
            match timeout(SUBSCRIBING, self.bus.subscribe_alone(self.bindings.clone())).await {
                Ok(Ok(messages)) => self.messages = Some(messages),
                Ok(Err(error)) => tracing::warn!(error = %chain(&error), "cannot listen to events; asking instead"),
                Err(_) => tracing::warn!("listening to events takes too long; asking instead"),
            }
            self.tried = Instant::now();
        }
    }
}
