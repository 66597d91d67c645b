//! What the generated mocks are made of.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use taskcluster_core::operation::Operation;

use crate::{Call, Failure, QueryValues};

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
    /// An internal failure that names the operation, if there is none.
    pub fn get(&self, call: &Call) -> Result<Arc<F>, Failure> {
        let handler = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handler.ok_or_else(|| Failure::internal(format!("the mock was not told how to answer {}", call.operation.name)))
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
