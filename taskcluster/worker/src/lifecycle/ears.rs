//! Hearing that a run of this worker has ended without its doing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use taskcluster::events::{Binding, Bus, BusError, Subscription};
use taskcluster::queue::events::TaskException;
use taskcluster_core::chain;
use tokio::time::{Instant, sleep_until};

use crate::identity::Identity;
use crate::worker::Inner;

/// How long to do without a bus that cannot be listened to.
const AGAIN: Duration = Duration::from_secs(30);

/// A bus, if there is one, and how far listening to it has come.
pub(super) struct Ears {
    bus: Option<Arc<dyn Bus>>,
    bindings: Vec<Binding>,
    state: State,
}

enum State {
    Deaf,
    Resting(Instant),
    Subscribing(BoxFuture<'static, Result<Subscription, BusError>>),
    Open(Subscription),
}

impl Ears {
    pub(super) fn of(inner: &Inner) -> Self {
        let mut ears = Self { bus: inner.bus.clone(), bindings: vec![binding(&inner.identity)], state: State::Deaf };
        ears.state = ears.subscribe();
        ears
    }

    /// Whether everything is heard at the moment.
    pub(super) fn are_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Listens for as long as `tick` takes. `true`, and earlier, if it is worth looking now.
    pub(super) async fn hear_until(&mut self, tick: impl Future<Output = ()>) -> bool {
        tokio::pin!(tick);
        loop {
            tokio::select! {
                () = &mut tick => return false,
                heard = self.next() => {
                    if heard {
                        return true;
                    }
                }
            }
        }
    }

    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    async fn next(&mut self) -> bool {
        match &mut self.state {
            State::Deaf => std::future::pending().await,
            State::Resting(until) => {
                sleep_until(*until).await;
                self.state = self.subscribe();
                false
            }
            State::Subscribing(subscribing) => match subscribing.await {
                Ok(messages) => {
                    self.state = State::Open(messages);
                    // What was published before was not heard.
                    true
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "cannot listen to events; asking for cancellations instead");
                    self.state = State::Resting(Instant::now() + AGAIN);
                    false
                }
            },
            State::Open(messages) => match messages.next().await {
                Some(Ok(_)) => true,
                Some(Err(error)) if error.goes_on() => true,
                Some(Err(_)) | None => {
                    self.state = State::Resting(Instant::now() + AGAIN);
                    false
                }
            },
        }
    }

    fn subscribe(&self) -> State {
        let Some(bus) = self.bus.clone() else { return State::Deaf };
        let bindings = self.bindings.clone();
        State::Subscribing(Box::pin(async move { bus.subscribe_alone(bindings).await }))
    }
}

/// Exceptions of runs that this worker has, or had.
fn binding(identity: &Identity) -> Binding {
    let key = TaskException::binding().worker_group(&identity.worker_group).worker_id(&identity.worker_id);
    Binding::new(TaskException::EXCHANGE.exchange, key.pattern())
}
