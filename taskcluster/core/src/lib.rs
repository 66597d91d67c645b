#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod caller;
pub mod clock;
pub mod credentials;
pub mod discovery;
pub mod error;
pub mod hawk;
pub mod ids;
pub mod intercept;
pub mod operation;
pub mod request;
pub mod root_url;
pub mod routing;
pub mod scopes;
pub mod secret;
pub mod time;
pub mod transport;
pub mod unknown_fields;
#[doc(hidden)]
pub mod wire;

mod environment;
mod object;

pub use backoff::RetryPolicy;
pub use caller::{Caller, CallerBuilder};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock};
pub use credentials::{Certificate, Credentials, CredentialsProvider, RenewingCredentials, SharedCredentials};
pub use discovery::{Discovery, KubernetesDns};
pub use error::{ApiError, Error, ErrorCode, Report, chain};
pub use ids::{Priority, RunId, TaskId, TaskQueueId};
pub use intercept::Interceptor;
pub use operation::{Event, Exchange, KeyField, Method, Operation, Stability};
pub use request::{Blob, Page, Paged, Request};
pub use root_url::RootUrl;
pub use scopes::{Params, ScopeExpression, ScopeSet, ScopeTemplate};
pub use secret::{Secret, SecretObject};
pub use time::Timestamp;
pub use transport::{Body, Transport, TransportError};
pub use unknown_fields::UnknownFields;

/// What the crate's macros and generated code reach for; not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use bytes;
    pub use futures_util::Stream;
    pub use http;
    pub use serde;
    pub use serde_json;
    pub use url;
}
