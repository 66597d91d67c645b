//! The one seam between a call and the world: an HTTP request goes in, an answer comes out, and both bodies may be
//! streams.
//!
//! A [`Transport`] is any `tower::Service` over [`http::Request<Body>`](::http::Request) in a box: HTTP
//! ([`HttpTransport`](http::HttpTransport)), a router in the same process ([`in_process`]), a script for tests
//! (`testing`), or a stack of your own layers over one of them.

mod body;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod in_process;
mod stall;
#[cfg(feature = "testing")]
pub mod testing;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use futures_util::future::BoxFuture;
use tower::{Service, ServiceExt};

pub use body::{Body, BodyTooLarge, BoxError};
pub use error::{TransportError, TransportErrorKind};
pub use in_process::in_process;
pub use stall::Stalled;

/// Where requests go. Cheap to clone; clones share their connections.
///
/// The extensions of a request hold the `&'static Operation` that it calls, for layers that want to know; a raw request
/// has none.
#[derive(Clone)]
pub struct Transport(Arc<dyn Erased>);

/// The part of a service that does not depend on its types.
trait Erased: Send + Sync {
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn describe(&self) -> &'static str;
}

impl<S> Erased for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = TransportError> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        Box::pin(self.clone().oneshot(request))
    }

    fn describe(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

impl Transport {
    /// A transport over any service. It is cloned for each request, so cloning should be cheap.
    ///
    /// Redirects are not the transport's business: 303 is an answer of the queue. Neither are retries.
    ///
    /// ```
    /// use http::Request;
    /// use taskcluster_core::transport::{Body, Transport};
    ///
    /// /// Says what is sent; any `tower` layer will do as well.
    /// fn loud(inner: Transport) -> Transport {
    ///     Transport::new(tower::service_fn(move |request: Request<Body>| {
    ///         println!("{} {}", request.method(), request.uri());
    ///         inner.send(request)
    ///     }))
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskcluster_core::Error> {
    /// # use taskcluster_core::{Caller, Method, Operation, Request as Call, Stability, transport::testing::ScriptedTransport};
    /// # static PING: Operation = Operation {
    /// #     service: "queue", version: "v1", name: "ping", method: Method::Get, route: "/ping", args: &[], query: &[],
    /// #     input: None, output: None, scopes: None, idempotent: true, stability: Stability::Stable,
    /// # };
    /// # let script = ScriptedTransport::new().on("queue.ping", serde_json::json!({}));
    /// # let caller = Caller::builder("https://tc.example.com").transport(loud(script.transport())).build()?;
    /// # Call::<()>::new(&caller, &PING, &[]).await
    /// # }
    /// ```
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = TransportError> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self(Arc::new(service))
    }

    /// Sends one request as it is: no signature, no retry, no timeout. [`send_watched`](Self::send_watched)
    /// gives up when nothing moves any more, and is the way to the URLs of artifacts.
    ///
    /// # Errors
    /// If no answer arrives. Every answer is an `Ok`, whatever its status.
    ///
    /// # Cancel safety
    /// Dropping the future gives the request up; it may have arrived.
    pub fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        self.0.send(request)
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.send(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.0.describe())
    }
}
