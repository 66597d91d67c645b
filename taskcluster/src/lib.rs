//! TaskCluster in Rust: typed clients of all services, generated from the API references.
//!
//! The [`guide`] begins with what you want to do. Each service is a feature; auth, queue, scheduler and provisioner are on by default. For services that only your
//! deployment has `taskcluster-codegen` writes a crate of clients, as its README shows.
//!
//! ```
//! use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
//! use taskcluster::time::minutes;
//! use taskcluster::{TaskId, TaskQueueId, Taskcluster, Timestamp, object};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), taskcluster::Report> {
//! # /*
//!     let tc = Taskcluster::from_env()?; // root URL, credentials, proxy: the usual variables
//! # */
//! #   let tc = scripted();
//!     let now = Timestamp::now();
//!     let metadata = TaskMetadata::new("Hello", "Greets.", "you@example.com", "https://example.com/hello");
//!     let payload = object! { "command": [["echo", "hello"]], "maxRunTime": 60 }; // what it may hold is the worker's choice
//!     let task = TaskDefinitionRequest::new(now, now + minutes(30), payload, metadata)
//!         .with_task_queue_id("local/native".parse::<TaskQueueId>()?);
//!
//!     let task_id = TaskId::new();
//!     let status = tc.queue().create_task(&task_id, &task).await?.status;
//!     println!("{task_id} is {}", status.state);
//!
//!     match tc.queue().status(&"fN1SbArXTPSVFNUvaOlinQ".parse()?).await {
//!         Ok(answer) => println!("its group is {}", answer.status.task_group_id),
//!         Err(error) if error.is_not_found() => println!("there is no such task"),
//!         Err(error) => return Err(error.into()),
//!     }
//!     Ok(())
//! }
//! # fn scripted() -> Taskcluster {
//! #     use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
//! #     let time = "2030-01-01T00:00:00.000Z";
//! #     let status = serde_json::json!({
//! #         "taskId": "VoFBy5stTPi-8BSwHHXsqg", "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "-",
//! #         "projectId": "none", "taskGroupId": "VoFBy5stTPi-8BSwHHXsqg", "deadline": time, "expires": time, "retriesLeft": 5,
//! #         "priority": "lowest", "state": "pending", "runs": []
//! #     });
//! #     let script = ScriptedTransport::new()
//! #         .on("queue.createTask", serde_json::json!({ "status": status }))
//! #         .on("queue.status", Answer::error(404, "ResourceNotFound", "no such task"));
//! #     Taskcluster::builder("https://tc.example.com").transport(script.transport()).build().unwrap()
//! # }
//! ```
//!
//! - [`Taskcluster`] is the handle: one deployment, one set of credentials, a method per service.
//!   Each service is a module with its client, its types, its [operations](Operation) as data and its events.
//! - A call is a [`Request`]: `.await` sends it, and before that it takes optional parameters, gives its URL, or a
//!   [signed one](Request::signed_for). A list is a [`Paged`] request, whose `stream()` fetches pages as they are needed and whose
//!   `all()` gives everything at once.
//! - An answer that is no JSON, such as the stream of `event_stream`, comes whole or, by [`Request::open`], while it is sent.
//! - [`Error`] says what went wrong and answers `is_not_found()`, `code()`, `is_retryable()`. [`chain`] prints it with what is
//!   behind it, and so does a `main` that gives back a [`Report`]. Calls are repeated where that is safe; [`RetryPolicy`]
//!   says how often, for a handle or a [single call](Request::retry).
//! - [`TaskId`], [`RunId`], [`Timestamp`], [`Priority`] and their like are types of their own, checked when they are made.
//! - [`Credentials`] come from the environment, a [provider](CredentialsProvider), or are [temporary](Credentials::temporary) ones
//!   made offline, [renewed](RenewingCredentials) in time, and just enough [for some calls](Credentials::for_calls); what a call
//!   asks for, and whether it may be made, is known [offline](Needs) too.
//! - [`artifacts`] uploads and downloads whole files, [`events`] listens, [`graph`] is for decision tasks, [`blocking`] for programs
//!   that are not asynchronous.
//!   `tc.queue().wait_for(&task_id)` waits for the end of a task, by events where the handle hears any.
//! - [`intercept`] puts something of your own around whole calls; [`transport`] is the seam to the network, for layers of your own
//!   and for tests without any. [`Discovery`] finds services at addresses of their own.
//!
//! What a newer service adds is no obstacle: unknown properties and enum values are kept, and written again by whoever edits
//! an answer and sends it back ([`UnknownFields`]). [`Request::raw`] gives the body as it came.
//!
//! # Features
//!
//! Each service is a feature, `auth`, `queue`, `scheduler` and `provisioner` by default. Parts beside the calls are features, too:
//! `artifacts`, `events`, `amqp`, `graph`, `actions`, `blocking`, `testing`, `opentelemetry`, `gzip`; TLS is `rustls` (default) or
//! `native-tls`. What a page tells of a part that is not in this build is documented with that feature on.
#![cfg_attr(not(feature = "artifacts"), doc = "", doc = "[`artifacts`]: crate#features")]
#![cfg_attr(not(feature = "blocking"), doc = "", doc = "[`blocking`]: crate#features")]
#![cfg_attr(not(feature = "events"), doc = "", doc = "[`events`]: crate#features")]
#![cfg_attr(not(all(feature = "queue", feature = "auth")), doc = "", doc = "[`guide`]: crate#features")]
#![cfg_attr(not(feature = "graph"), doc = "", doc = "[`graph`]: crate#features")]

mod handle;
mod needs;
mod services;
#[cfg(feature = "queue")]
mod task_credentials;

#[cfg(feature = "artifacts")]
pub mod artifacts;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "graph")]
pub mod graph;
#[cfg(all(feature = "queue", feature = "auth"))]
pub mod guide;
#[cfg(feature = "json-e")]
pub mod json_e;
#[cfg(feature = "queue")]
pub mod wait;

pub use handle::{Taskcluster, TaskclusterBuilder};
pub use needs::Needs;
#[allow(unused_imports, unreachable_pub, reason = "without a feature there is no service")]
pub use services::*;

pub use taskcluster_core::{
    ApiError, Blob, Body, Caller, CallerBuilder, Certificate, Clock, Credentials, CredentialsProvider, Error,
    ErrorCode, Exchange, ManualClock, Operation, Page, Paged, Params, Priority, RenewingCredentials, Report, Request,
    RetryPolicy, RootUrl, RunId, ScopeExpression, ScopeSet, ScopeTemplate, Secret, SecretObject, SharedClock,
    SharedCredentials, Stability, SystemClock, TaskId, TaskQueueId, Timestamp, Transport, TransportError,
    UnknownFields, chain, object,
};
pub use taskcluster_core::{Discovery, Interceptor, KubernetesDns};
pub use taskcluster_core::{
    clock, credentials, discovery, hawk, ids, intercept, operation, request, routing, scopes, time, transport,
};

/// Transports for tests: one that answers by script and keeps a log of calls, one that records what passes.
#[cfg(feature = "testing")]
pub use taskcluster_core::transport::testing;

/// The README's program is compiled with the tests.
#[cfg(all(doctest, feature = "queue"))]
#[doc = include_str!("../README.md")]
struct Readme;
