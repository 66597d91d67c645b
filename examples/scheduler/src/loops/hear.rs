//! Hears from the queue how tasks get on.
//!
//! The next message is asked for when the one before is in the database; with that a bus that acknowledges keeps a message until
//! it is safe. Whenever messages may have been missed, the queue is [asked](super::ask) instead.

use std::sync::Arc;

use service_kit::patience::Patience;
use service_kit::store::StoreError;
use taskcluster::events::{Binding, Bus, Message, Subscription};
use taskcluster::queue::TaskStatus;
use taskcluster::queue::events::{self, TaskCompleted, TaskException, TaskFailed, TaskPending, TaskRunning};
use taskcluster_core::clock::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::node::Seen;
use crate::store::Store;

#[derive(Clone, Debug)]
pub(crate) struct Hear {
    pub(crate) store: Store,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) scheduler_id: Arc<str>,
    pub(crate) clock: SharedClock,
}

/// What all these messages have in common.
#[derive(serde::Deserialize)]
struct Told {
    status: TaskStatus,
}

impl Hear {
    /// Until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut patience = Patience::default();
        while !stop.is_cancelled() {
            let error: Box<dyn std::error::Error + Send + Sync> =
                match stop.run_until_cancelled(self.bus.subscribe(self.bindings())).await {
                    None => return,
                    Some(Ok(subscription)) => match self.listen(subscription, &stop).await {
                        Ok(()) => {
                            patience.reset();
                            "the bus ended the subscription".into()
                        }
                        Err(error) => error.into(),
                    },
                    Some(Err(error)) => error.into(),
                };
            if stop.is_cancelled() {
                return;
            }
            if patience.failed() {
                tracing::warn!(
                    error = &*error as &dyn std::error::Error,
                    "the queue's events are not heard; trying again"
                );
            }
            patience.wait(&stop).await;
        }
    }

    /// The events of our tasks.
    fn bindings(&self) -> Vec<Binding> {
        let own = &*self.scheduler_id;
        vec![
            Binding::new(TaskPending::EXCHANGE.exchange, events::task_pending().scheduler_id(own).to_string()),
            Binding::new(TaskRunning::EXCHANGE.exchange, events::task_running().scheduler_id(own).to_string()),
            Binding::new(TaskCompleted::EXCHANGE.exchange, events::task_completed().scheduler_id(own).to_string()),
            Binding::new(TaskFailed::EXCHANGE.exchange, events::task_failed().scheduler_id(own).to_string()),
            Binding::new(TaskException::EXCHANGE.exchange, events::task_exception().scheduler_id(own).to_string()),
        ]
    }

    /// Until the bus ends it, the store fails, or `stop`.
    async fn listen(&self, mut subscription: Subscription, stop: &CancellationToken) -> Result<(), StoreError> {
        // Nobody knows what happened before.
        self.store.look_again(self.clock.now()).await?;
        while let Some(Some(heard)) = stop.run_until_cancelled(subscription.next()).await {
            match heard {
                Ok(message) => self.take(&message).await?,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "events were missed; the queue is asked");
                    self.store.look_again(self.clock.now()).await?;
                }
            }
        }
        Ok(())
    }

    async fn take(&self, message: &Message) -> Result<(), StoreError> {
        match serde_json::from_slice::<Told>(&message.payload) {
            Ok(Told { status }) => {
                let Some(seen) = Seen::of(&status) else { return Ok(()) };
                self.store.observe(status.task_group_id, status.task_id, seen, self.clock.now()).await
            }
            Err(error) => {
                tracing::warn!(key = message.routing_key, %error, "a message of the queue cannot be read");
                Ok(())
            }
        }
    }
}
