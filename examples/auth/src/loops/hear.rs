//! Hears auth's own events: what other processes of the same store have changed holds here a moment later, where the bus
//! reaches both.
//!
//! An event only says that it is time to look; what has changed, the store's trail knows. After it was not listening for a
//! while, a process forgets all that it knows and reads it again.

use std::time::Duration;

use taskcluster::auth::events;
use taskcluster::events::{Binding, Bus, BusError, Subscription};
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;

/// How long to wait before listening is tried again.
const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn run(backend: &Backend, bus: &dyn Bus, stop: &CancellationToken) {
    // Who has the store alone knows of every change.
    if backend.store().is_shared() {
        stop.run_until_cancelled(listen(backend, bus)).await;
    }
}

async fn listen(backend: &Backend, bus: &dyn Bus) {
    loop {
        let bindings = events::ALL.iter().map(|event| Binding::everything(event.exchange)).collect();
        match bus.subscribe(bindings).await {
            Ok(subscription) => hear(backend, subscription).await,
            Err(BusError::Closed) => return,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "changes by other processes are seen when the store is looked at");
            }
        }
        backend.clock().sleep(RETRY).await;
    }
}

async fn hear(backend: &Backend, mut subscription: Subscription) {
    super::report("hear", backend.reload().await);
    while let Some(heard) = subscription.next().await {
        let step = match heard {
            Err(error) if error.may_have_missed() => backend.reload().await,
            Ok(_) | Err(_) => backend.refresh().await,
        };
        super::report("hear", step);
    }
}
