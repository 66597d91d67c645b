//! Stand-ins for services, in the tests of programs that call them.
//!
//! Each service has one, such as `queue::QueueMock`: a closure for each method that is called, behind the real routes, so that what
//! does not fit the schemas is refused as ever. It looks nothing up, so everybody may do everything; a closure that wants to refuse
//! says so, [`Failure::forbidden`] for example. In the `Cargo.toml` of the program:
//!
//! ```toml
//! [dev-dependencies]
//! taskcluster-server = { path = "../REPOSITORY/taskcluster/server", features = ["queue"] }
//! ```
//!
//! ```
//! # #[cfg(feature = "queue")]
//! # mod shown {
//! use std::sync::Arc;
//!
//! use taskcluster::{Report, TaskId, Taskcluster};
//! use taskcluster_server::queue::QueueMock;
//! use taskcluster_server::{Failure, mock, queue};
//!
//! # pub
//! async fn what_is_gone_is_not_there() -> Result<(), Report> {
//!     let queue = Arc::new(QueueMock::new());
//!     queue.on_cancel_task(|_call, task_id| Err(Failure::not_found(format!("there is no task {task_id}"))));
//!     let tc = Taskcluster::builder("https://tc.example.com")
//!         .transport(mock::transport([queue::router(queue.clone())]))
//!         .build()?;
//!
//!     let task_id = TaskId::new();
//!     assert!(tc.queue().cancel_task(&task_id).await.is_err_and(|error| error.is_not_found()));
//!     assert_eq!(queue.calls()[0].arguments, [task_id.to_string()]);
//!     Ok(())
//! }
//! # }
//! # #[cfg(feature = "queue")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(shown::what_is_gone_is_not_there()).unwrap();
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::operation::Operation;
use taskcluster_core::transport::{Transport, in_process};

use crate::authenticator::Fixed;
use crate::{Call, Failure, Parts, QueryValues, References, Routes, ServiceRouter, site};

/// Where calls of these services end, whatever the root URL, and with any credentials or none: without a socket.
///
/// # Panics
/// If a service is none of those whose references this crate has.
#[must_use]
pub fn transport(services: impl IntoIterator<Item = Routes>) -> Transport {
    let everything = ["*"];
    let authenticator = Arc::new(Fixed::new("anybody", everything).with_anonymous(everything));
    let routers = services.into_iter().map(|routes| {
        let parts = Parts {
            root_url: "https://tc.example.com".into(),
            authenticator: authenticator.clone(),
            clock: SystemClock::shared(),
            references: References::embedded(),
            version: "mock".into(),
        };
        ServiceRouter::new(routes, parts).expect("the references are embedded")
    });
    in_process(site(routers.collect::<Vec<_>>()))
}

/// A call that a mock has seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MockCall {
    /// What was called.
    pub operation: &'static Operation,
    /// The arguments of its path.
    pub arguments: Vec<String>,
    /// The parameters of its query.
    pub query: QueryValues,
    /// The body; null if there was none.
    pub body: Value,
}

/// The calls that a mock has seen.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<MockCall>>);

impl Log {
    /// Takes note of a call.
    pub fn add(&self, call: &Call) {
        let (arguments, query, body) = (call.arguments.clone(), call.query().clone(), call.body().clone());
        let call = MockCall { operation: call.operation, arguments, query, body };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// The calls so far, in their order.
    pub fn calls(&self) -> Vec<MockCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The closure that answers for a method, if there is one.
pub struct Handler<F: ?Sized>(Mutex<Option<Arc<F>>>);

impl<F: ?Sized> Handler<F> {
    /// Answers by this closure from now on.
    pub fn set(&self, handler: Arc<F>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler);
    }

    /// The closure.
    ///
    /// # Errors
    /// 400 `InputError` that names the operation, if there is none: said to the caller, who is the test, and not repeated.
    pub fn get(&self, call: &Call) -> Result<Arc<F>, Failure> {
        call.has_nothing_to_look_up();
        let handler = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handler.ok_or_else(|| Failure::input_error(format!("the mock was not told how to answer {}", call.operation)))
    }
}

impl<F: ?Sized> Default for Handler<F> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<F: ?Sized> fmt::Debug for Handler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        f.debug_tuple("Handler").field(&is_set).finish()
    }
}
