//! Hears from a bus which tasks are completed, and notes them.
//!
//! The next message is asked for when the one before is in the database; with that a bus that acknowledges keeps a message until
//! it is safe. RabbitMQ has a durable queue for us, so nothing is missed while no process listens.

use std::sync::Arc;

use service_kit::patience::Patience;
use taskcluster::events::{Bus, BusError, Message, Subscription};
use tokio_util::sync::CancellationToken;

use crate::finished::Finished;
use crate::store::Store;
use crate::tap::note;

pub(crate) async fn run(store: Store, bus: Arc<dyn Bus>, stop: CancellationToken) {
    let mut patience = Patience::default();
    while !stop.is_cancelled() {
        let subscribed = stop.run_until_cancelled(bus.subscribe(vec![Finished::binding()])).await;
        match subscribed {
            None => return,
            Some(Ok(subscription)) => {
                patience.reset();
                hear(&store, subscription, &stop).await;
            }
            Some(Err(error)) => {
                if patience.failed() {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot listen to the queue's events; trying again"
                    );
                }
            }
        }
        patience.wait(&stop).await;
    }
}

/// Until the bus is closed, or `stop`.
async fn hear(store: &Store, mut subscription: Subscription, stop: &CancellationToken) {
    while let Some(Some(heard)) = stop.run_until_cancelled(subscription.next()).await {
        match heard {
            Ok(message) => keep(store, &message, stop).await,
            Err(error) => tell(&error),
        }
    }
}

/// Until the message is in the database, or `stop`: then it was not acknowledged and comes again.
async fn keep(store: &Store, message: &Message, stop: &CancellationToken) {
    let mut patience = Patience::default();
    while let Err(error) = note(store, message).await {
        if patience.failed() {
            tracing::error!(error = &error as &dyn std::error::Error, "a completed task cannot be noted; trying again");
        }
        patience.wait(stop).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

fn tell(error: &BusError) {
    let error: &dyn std::error::Error = error;
    // Nobody can be asked which tasks with such routes there were: they are found again when they run again, or when
    // somebody inserts them.
    tracing::warn!(error, "tasks that were completed meanwhile may not be in the index");
}
