//! What stands under the generated server traits of TaskCluster services.
//!
//! A service implements one trait, for example `queue::QueueApi`. The generated `queue::router` turns an
//! implementation into [`Routes`]; a [`ServiceRouter`] serves them as every TaskCluster deployment does: routing,
//! validation against the schemas of the reference, authentication, scopes, error bodies, CORS, tracing ids, and the
//! documents that describe the service.
//!
//! Each service is a feature, called as its module with `-` for `_`; `event_stream` is the service events. None is on by
//! default. An answer that no schema describes is a [`Body`](taskcluster_core::Body), which may be a stream.
//!
//! The same without a reference, written by hand as the generator would write it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use taskcluster_core::clock::SystemClock;
//! use taskcluster_core::operation::{Method, Operation, Stability};
//! use taskcluster_core::scopes::ScopeTemplate;
//! use taskcluster_server::authenticator::Fixed;
//! use taskcluster_server::{Failure, Parts, References, Reply, Route, Routes, ServiceRouter, site};
//!
//! static GREET: Operation = Operation {
//!     service: "greeter",
//!     version: "v1",
//!     name: "greet",
//!     method: Method::Get,
//!     route: "/greet/<name>",
//!     args: &["name"],
//!     query: &[],
//!     input: None,
//!     output: None,
//!     scopes: Some(&ScopeTemplate::Scope("greeter:greet:<name>")),
//!     idempotent: true,
//!     stability: Stability::Stable,
//! };
//!
//! let route = Route::new(&GREET, |call| {
//!     Box::pin(async move {
//!         let name: String = call.argument(0)?;
//!         if name == "nobody" {
//!             return Err(Failure::not_found("There is nobody to greet."));
//!         }
//!         Reply::new(format!("Hello, {name}!")).into_raw()
//!     })
//! });
//! let parts = Parts {
//!     root_url: "https://tc.example.com".into(),
//!     authenticator: Arc::new(Fixed::new("me", ["greeter:*"])),
//!     clock: SystemClock::shared(),
//!     references: References::default(),
//!     version: env!("CARGO_PKG_VERSION").into(),
//! };
//! let service = ServiceRouter::new(Routes::new("greeter", "v1").with(route), parts)?;
//! let router: axum::Router = site([service]);
//! # let _ = router;
//! # Ok::<(), taskcluster_server::SchemaError>(())
//! ```
//!
//! `axum::serve(listener, router)` then answers `GET /api/greeter/v1/greet/you`, to callers with the scope
//! `greeter:greet:you`.
//!
//! What happens to a request, in this order (the order decides which of two errors the caller sees):
//!
//! 1. the body is read and parsed;
//! 2. the scopes are checked, if they depend on nothing but the path;
//! 3. the path arguments are held against their patterns;
//! 4. the query is checked;
//! 5. the body is held against its schema, and the schema's defaults are filled in;
//! 6. the handler runs. It asks [`Call::authorize`] where the scopes depend on what it had to look up.

pub mod arguments;
pub mod authenticator;
mod authorize;
mod call;
mod dockerflow;
mod failure;
mod headers;
pub mod mock;
mod path;
mod published;
mod query;
mod references;
mod reply;
mod request;
mod router;
mod routes;
mod services;
mod validate;

pub use authenticator::{AuthOutcome, AuthRequest, Authenticator};
pub use call::Call;
pub use failure::Failure;
pub use query::QueryValues;
pub use references::{ReferenceError, References};
pub use reply::{RawReply, Reply};
pub use router::{Parts, ServiceRouter, site};
pub use routes::{Handler, HandlerFuture, Route, Routes};
#[allow(unused_imports, unreachable_pub, reason = "without a feature there is no service")]
pub use services::*;
pub use validate::{SchemaError, Violations};

pub use async_trait::async_trait;
