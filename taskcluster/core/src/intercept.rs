//! Something of your own around whole calls: numbers, records, limits, headers, faults for tests.
//!
//! An [`Interceptor`] sees a call as its caller does: once, whatever the attempts, and each attempt of it. What stands around
//! single requests on their way, signed as they are, is a layer of the [`transport`](crate::transport).

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Extensions, HeaderMap, StatusCode};
use tokio::time::Instant;
use tracing::Span;

use crate::error::Error;
use crate::operation::Operation;
use crate::transport::{BoxError, TransportError};

/// Something of your own around each call of a handle; [`CallerBuilder::intercept`](crate::CallerBuilder::intercept) sets it.
///
/// ```text
/// before_call ─ before_attempt ─ (signed, sent, answered) ─ after_attempt ─ … ─ after_call
///                     ▲                                         │ again
///                     └─────────────────────────────────────────┘
/// ```
///
/// Of several, the first that was set is the outermost: `before_…` come in the order in which they were set, `after_…` in the
/// other. For each `before_call` that went well there is exactly one `after_call`, also if the call's future is
/// dropped.
///
/// None of them is shown tokens, signatures, bodies or queries. What they take in time is time of the call: of its deadline, and
/// before an attempt also of that attempt. A panic in one is a panic of the call.
///
/// Calls are what is intercepted. The content of artifacts comes from elsewhere, without a call.
///
/// ```
/// # use taskcluster_core::transport::testing::ScriptedTransport;
/// # use taskcluster_core::{Caller, Method, Operation, Request, Stability};
/// # static PING: Operation = Operation {
/// #     service: "queue", version: "v1", name: "ping", method: Method::Get, route: "/ping", args: &[], query: &[],
/// #     input: None, output: None, scopes: None, idempotent: true, stability: Stability::Stable,
/// # };
/// use std::sync::{Arc, Mutex};
/// use taskcluster_core::intercept::{Interceptor, Ongoing, Outcome};
///
/// /// Latency, attempts and status of each call, for whatever counts them.
/// #[derive(Default)]
/// struct Numbers(Mutex<Vec<String>>);
///
/// impl Interceptor for Numbers {
///     fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
///         let (operation, attempts, status) = (call.operation(), call.attempts(), outcome.status());
///         let millis = call.elapsed().as_millis();
///         self.0.lock().unwrap().push(format!("{operation} {attempts} {status:?}"));
/// #       let _ = millis;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskcluster_core::Error> {
/// # let script = ScriptedTransport::new().on("queue.ping", serde_json::json!({}));
/// let numbers = Arc::new(Numbers::default());
/// let caller = Caller::builder("https://tc.example.com").intercept(Arc::clone(&numbers)) /* … */;
/// # let caller = caller.transport(&script).build()?;
/// # Request::<()>::new(&caller, &PING, &[]).await?;
/// assert_eq!(numbers.0.lock().unwrap()[0], "queue.ping 1 Some(200)");
/// # Ok(())
/// # }
/// ```
pub trait Interceptor: Send + Sync {
    /// Before anything is sent. It may wait, add headers to all attempts, or refuse the call.
    ///
    /// # Errors
    /// A refusal: the call ends with [`Error::Refused`], whose source this is.
    fn before_call(&self, call: &mut Ongoing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = call;
        ready(Ok(()))
    }

    /// Before each attempt is signed and sent. It may wait, change the headers of this attempt and those to come, or have
    /// the attempt fail: tests find out so what a program makes of that.
    ///
    /// # Errors
    /// The attempt ends with this, as if it came from the network, and its kind says whether there is another one.
    fn before_attempt(&self, call: &mut Ongoing) -> impl Future<Output = Result<(), TransportError>> + Send {
        let _ = call;
        ready(Ok(()))
    }

    /// After each attempt, once it is known whether there is another one.
    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        let _ = (call, attempt);
    }

    /// After the call as a whole. A body that is not what the method promises makes it a failure, too. Of an answer that is
    /// read as it comes, this is the beginning.
    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        let _ = (call, outcome);
    }
}

/// A call on its way.
pub struct Ongoing {
    operation: &'static Operation,
    path: String,
    target: String,
    pub(crate) attempts: u32,
    started: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempted<'a> {
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// How long it took.
    pub elapsed: Duration,
    /// After which time there is another one; `None` if this was the last.
    pub again_after: Option<Duration>,
}

/// What came of a call, or of an attempt.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// An answer that is a result, also a redirect.
    Answer(StatusCode),
    /// It failed: the error that whoever called gets, or would get if this were the last attempt.
    Failed(&'a Error),
    /// Nobody waited for it any more.
    Dropped,
}

impl<'a> Outcome<'a> {
    /// An answer with that status, or what made nothing of it.
    pub(crate) fn of(status: Result<StatusCode, &'a Error>) -> Self {
        status.map_or_else(Self::Failed, Self::Answer)
    }

    /// The status of the answer, of a refusal too; `None` where there was none.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(status) => Some(status.as_u16()),
            Self::Failed(error) => error.status().map(|status| status.as_u16()),
            Self::Dropped => None,
        }
    }

    /// Whether it is a result.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

impl Ongoing {
    /// The method.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The path below `/api/<service>/<version>`, encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Who is called: scheme, host and port, without a path.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How many attempts there were, that which is under way among them.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long it has been under way.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What was added to the headers of its attempts.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What to add to the headers of its attempts. It takes the place of what would be sent otherwise, except for the
    /// signature, the host, and what describes the body.
    #[must_use]
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// What interceptors keep with the call.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// A place for what an interceptor wants to know again later in the same call. Layers of the transport find it in the
    /// extensions of the request.
    #[must_use]
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

/// Neither headers nor extensions, in which interceptors may keep what is nobody's business.
impl fmt::Debug for Ongoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ongoing")
            .field("operation", &format_args!("{}", self.operation))
            .field("path", &self.path)
            .field("target", &self.target)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl<I: Interceptor> Interceptor for Arc<I> {
    fn before_call(&self, call: &mut Ongoing) -> impl Future<Output = Result<(), BoxError>> + Send {
        I::before_call(self, call)
    }

    fn before_attempt(&self, call: &mut Ongoing) -> impl Future<Output = Result<(), TransportError>> + Send {
        I::before_attempt(self, call)
    }

    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        I::after_attempt(self, call, attempt);
    }

    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        I::after_call(self, call, outcome);
    }
}

/// An interceptor without its type.
pub(crate) trait Erased: Send + Sync {
    fn before_call<'a>(&'a self, call: &'a mut Ongoing) -> BoxFuture<'a, Result<(), BoxError>>;
    fn before_attempt<'a>(&'a self, call: &'a mut Ongoing) -> BoxFuture<'a, Result<(), TransportError>>;
    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>);
    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>);
}

impl<I: Interceptor> Erased for I {
    fn before_call<'a>(&'a self, call: &'a mut Ongoing) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Interceptor::before_call(self, call))
    }

    fn before_attempt<'a>(&'a self, call: &'a mut Ongoing) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(Interceptor::before_attempt(self, call))
    }

    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        Interceptor::after_attempt(self, call, attempt);
    }

    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        Interceptor::after_call(self, call, outcome);
    }
}

/// The interceptors of one call, and how far into them it is.
pub(crate) struct Around<'a> {
    all: &'a [Arc<dyn Erased>],
    /// Of how many `before_call` went well, and `after_call` is due.
    entered: usize,
    pub(crate) call: Ongoing,
    span: Span,
}

impl<'a> Around<'a> {
    pub(crate) fn new(
        all: &'a [Arc<dyn Erased>],
        operation: &'static Operation,
        path: String,
        target: String,
        span: Span,
    ) -> Self {
        let (headers, extensions) = (HeaderMap::new(), Extensions::new());
        let call = Ongoing { operation, path, target, attempts: 0, started: Instant::now(), headers, extensions };
        Self { all, entered: 0, call, span }
    }

    pub(crate) async fn enter(&mut self) -> Result<(), Error> {
        for interceptor in self.all {
            if let Err(source) = interceptor.before_call(&mut self.call).await {
                return Err(Error::Refused { operation: self.call.operation.to_string(), source });
            }
            self.entered += 1;
        }
        Ok(())
    }

    pub(crate) async fn attempt(&mut self) -> Result<(), TransportError> {
        for interceptor in self.all {
            interceptor.before_attempt(&mut self.call).await?;
        }
        Ok(())
    }

    pub(crate) fn attempted(&self, attempt: Attempted<'_>) {
        self.all.iter().rev().for_each(|interceptor| interceptor.after_attempt(&self.call, attempt));
    }

    pub(crate) fn leave(&mut self, outcome: Outcome<'_>) {
        let _span = self.span.clone().entered();
        while let Some(inner) = self.entered.checked_sub(1) {
            self.entered = inner;
            self.all[inner].after_call(&self.call, outcome);
        }
    }
}

impl Drop for Around<'_> {
    fn drop(&mut self) {
        self.leave(Outcome::Dropped);
    }
}
