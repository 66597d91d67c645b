//! What surrounds every service, in a process of its own as well as beside others.

use std::sync::Arc;

use taskcluster::events::Bus;
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::operation::Exchange;
use taskcluster_core::{Caller, Error};
use taskcluster_server::authenticator::{Authenticator, Remote};
use taskcluster_server::{Parts, References, Routes, SchemaError, ServiceRouter};
use tokio_util::sync::CancellationToken;

use crate::outbox::{Outbox, Relay};
use crate::service::Background;
use crate::sweep::{self, Sweep};

/// The deployment that a service is part of, and the process that it runs in. Services of one process share it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The root URL of the deployment, as callers know it.
    pub root_url: String,
    /// Where events go, and where they come from.
    pub bus: Arc<dyn Bus>,
    /// Where the time comes from.
    pub clock: SharedClock,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

impl Frame {
    /// On the system's clock, in a process that nobody ends.
    pub fn new(root_url: impl Into<String>, bus: Arc<dyn Bus>) -> Self {
        Self { root_url: root_url.into(), bus, clock: SystemClock::shared(), shutdown: CancellationToken::new() }
    }

    /// With another bus.
    #[must_use]
    pub fn with_bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = bus;
        self
    }

    /// On another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// With the token that ends the process: requests that wait for something are then answered at once, so that the end
    /// does not have to wait for them.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Lets the deployment's auth service judge requests, for a service that has none in its own process.
    ///
    /// # Errors
    /// When the root URL is none.
    pub fn remote_authenticator(&self) -> Result<Arc<dyn Authenticator>, Error> {
        Ok(Arc::new(Remote::new(Caller::builder(&self.root_url).build()?)))
    }

    /// Serves the routes of a service, as the references that are built in describe it.
    ///
    /// # Errors
    /// When these do not hold together.
    pub fn serve(&self, routes: Routes, authenticator: Arc<dyn Authenticator>) -> Result<ServiceRouter, SchemaError> {
        let parts = Parts {
            root_url: self.root_url.clone(),
            authenticator,
            clock: Arc::clone(&self.clock),
            references: References::embedded(),
            // That of all crates of this workspace.
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        ServiceRouter::new(routes, parts)
    }

    /// Publishes what is in the outbox of a service, which publishes these events.
    pub fn relay(&self, service: &str, outbox: Arc<dyn Outbox>, events: &[Exchange]) -> Background {
        let relay = Relay::new(outbox, Arc::clone(&self.bus), Arc::clone(&self.clock))
            .with_exchanges(events.iter().map(|event| event.exchange));
        Background::new(format!("{service}: outbox"), move |stop| relay.run(stop))
    }

    /// Does this again and again, for a service.
    pub fn sweep<S: Sweep>(&self, service: &str, sweep: S) -> Background {
        let clock = Arc::clone(&self.clock);
        Background::new(format!("{service}: {}", S::NAME), move |stop| sweep::run(sweep, clock, stop))
    }
}
