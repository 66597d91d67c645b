//! A bus that notes finished tasks before it takes them over.
//!
//! A bus within a process keeps nothing: what is on it when the process ends is lost. Whoever publishes through this one
//! hears that a message was taken only once the index has it in its database, so with the publisher's outbox in front
//! nothing is ever missed.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::store::StoreError;
use taskcluster::events::{Binding, Bus, BusError, Message, Subscription};

use crate::finished::Finished;
use crate::store::Store;

/// Notes what a message says. One that cannot be read is told in the log and otherwise passed over: it will not become
/// better.
pub(crate) async fn note(store: &Store, message: &Message) -> Result<(), StoreError> {
    match Finished::read(message) {
        Ok(finished) => store.remember(finished).await,
        Err(error) => {
            tracing::warn!(key = message.routing_key, %error, "a message of a completed task cannot be read");
            Ok(())
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Store,
    pub(crate) wanted: Binding,
}

#[async_trait]
impl Bus for Tap {
    async fn publish(&self, message: Message) -> Result<(), BusError> {
        if message.fits(&self.wanted) {
            let unavailable = |error: StoreError| BusError::Unavailable { source: error.into() };
            note(&self.store, &message).await.map_err(unavailable)?;
        }
        self.bus.publish(message).await
    }

    async fn declare(&self, exchanges: &[&str]) -> Result<(), BusError> {
        self.bus.declare(exchanges).await
    }

    async fn subscribe(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        self.bus.subscribe(bindings).await
    }
}
