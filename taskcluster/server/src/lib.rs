//! What stands under the generated server traits of TaskCluster services.
//!
//! A service implements one trait, for example `queue::QueueApi`. The generated `queue::router` turns an
//! implementation into [`Routes`]; a [`ServiceRouter`] serves them as every TaskCluster deployment does: routing,
//! validation against the schemas of the reference, authentication, scopes, error bodies, CORS, tracing ids, and the
//! documents that describe the service.
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
