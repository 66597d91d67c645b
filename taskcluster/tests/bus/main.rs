//! What every bus does, and what only RabbitMQ does. The latter with the broker that `TEST_AMQP` names.

mod contract;
#[cfg(feature = "amqp")]
mod proxy;
#[cfg(feature = "amqp")]
mod rabbitmq;
#[cfg(all(feature = "event_stream", feature = "testing"))]
mod sse;

use std::future::Future;
use std::time::Duration;

use taskcluster::TaskId;
use taskcluster::events::{BusError, Message, Subscription};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("this does not take minutes")
}

/// An exchange that no other test has.
fn new_exchange() -> String {
    format!("exchange/test-{}/v1/happened", TaskId::new())
}

async fn next(subscription: &mut Subscription) -> Result<Message, BusError> {
    within(subscription.next()).await.expect("the subscription goes on")
}

async fn next_key(subscription: &mut Subscription) -> String {
    next(subscription).await.unwrap().routing_key
}
