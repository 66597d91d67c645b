//! What generated code hands to the runtime: an operation and the closure that carries it out.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use taskcluster_core::operation::Operation;

use crate::{Call, Failure, RawReply};

/// What a [`Handler`] gives back.
pub type HandlerFuture = BoxFuture<'static, Result<RawReply, Failure>>;

/// Takes a checked request to the implementation of a service and brings its answer back as bytes.
///
/// Not generic: everything typed happens inside the generated closure, once per operation and in few lines.
pub type Handler = Arc<dyn Fn(Call) -> HandlerFuture + Send + Sync>;

/// One operation of a service and what answers it.
#[derive(Clone)]
pub struct Route {
    /// What the reference says about it.
    pub operation: &'static Operation,
    /// What answers it.
    pub handler: Handler,
}

impl Route {
    /// A route from an operation and a closure.
    pub fn new(operation: &'static Operation, handler: impl Fn(Call) -> HandlerFuture + Send + Sync + 'static) -> Self {
        Self { operation, handler: Arc::new(handler) }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({} {})", self.operation.service, self.operation.name)
    }
}

/// All operations of one service.
#[derive(Clone, Debug)]
pub struct Routes {
    service: &'static str,
    version: &'static str,
    routes: Vec<Route>,
}

impl Routes {
    /// No routes yet, of a service such as `queue` and an API version such as `v1`.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str) -> Self {
        Self { service, version, routes: Vec::new() }
    }

    /// The same with one route more.
    #[must_use]
    pub fn with(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds a route.
    pub fn add(
        &mut self,
        operation: &'static Operation,
        handler: impl Fn(Call) -> HandlerFuture + Send + Sync + 'static,
    ) {
        self.routes.push(Route::new(operation, handler));
    }

    /// Name of the service.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Version of its API.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The routes, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }
}

impl IntoIterator for Routes {
    type Item = Route;
    type IntoIter = std::vec::IntoIter<Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.routes.into_iter()
    }
}
