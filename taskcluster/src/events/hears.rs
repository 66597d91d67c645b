//! How a handle hears what happens.

use std::sync::Arc;

use taskcluster_core::Caller;

use super::Bus;

/// Kept with the caller, so that the clients of all services find it.
#[derive(Clone, Debug)]
pub(crate) enum Hears {
    /// Over this bus.
    Bus(Arc<dyn Bus>),
    /// Over the deployment's own service, as whoever the caller is at the time.
    #[cfg(feature = "event_stream")]
    OverHttp,
}

impl Hears {
    /// The bus of a caller, if there is one.
    pub(crate) fn bus_of(caller: &Caller) -> Option<Arc<dyn Bus>> {
        match caller.extension()? {
            Self::Bus(bus) => Some(Arc::clone(bus)),
            #[cfg(feature = "event_stream")]
            Self::OverHttp => Some(Arc::new(super::SseBus::of(caller))),
        }
    }
}
